// A flow with one node, which runs the flow's own code. Call functions with `apply`, and connect nodes with `edge`.
// The repository of faas-flow explains the concepts in docs/concepts.md, and has larger flows in examples/.

import { flow, reject } from "faas-flow";

export default flow(({ dag }) => {
  dag.node("greet").modify((data) => {
    const name = data.text().trim();
    if (name === "") throw reject("there is no name to greet: send one as the body");
    return `Hello, ${name}!`;
  });
});
