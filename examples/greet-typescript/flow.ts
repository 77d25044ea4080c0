// Greets by name. The smallest possible flow: one node with one modifier.

import { flow, reject } from "faas-flow";

export default flow(({ dag }) => {
  dag.node("greet").modify((data) => {
    const name = data.text().trim();
    if (name === "") throw reject("there is no name to greet: send one as the body");
    return `Hello, ${name}!`;
  });
});
