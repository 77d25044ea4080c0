// Takes the webhook of a payment provider, and hands the event on to three services: the ledger, which must have it; the customer's
// file, which may not know the customer; and the chat, whose failures do no harm.

import { flow, json, reject, retry, type Data, type Inputs, type Response } from "faas-flow";

interface Payment {
  id: string;
  type: "payment.succeeded" | "payment.failed";
  customer: string;
  /** In cents. */
  amount: number;
  currency: string;
}

export default flow(({ dag }, context) => {
  dag.node("check").modify((data) => {
    const payment = checked(data);
    context.label("payment", payment.id);
    return json(payment);
  });

  // The same key for each try, so the ledger books a payment once.
  const ledger = dag.node("ledger").apply("ledger").retry({ attempts: 4, firstDelay: "200ms" }).timeout("10s");
  ledger.prepare((request) => request.withHeader("X-Payment-Id", request.body.json<Payment>().id));

  dag.node("file").apply("customer-file").retry({ attempts: 3 }).receive(noted);

  const chat = dag.node("chat").modify((data) => sentence(data.json<Payment>())).apply("chat");
  chat.limit({ name: "chat", perSecond: 1 }).timeout("5s").recoverFrom((failed) => `nobody was told: ${failed.message}`);

  dag.node("report").aggregator((inputs) => {
    context.respond(201);
    return report(inputs);
  });
  for (const service of ["ledger", "file", "chat"]) {
    dag.edge("check", service);
    dag.edge(service, "report");
  }
});

function checked(data: Data): Payment {
  const { id, type, customer, amount, currency } = data.json<Partial<Payment>>();
  if (!id || !customer || !currency) throw reject("a payment needs an id, a customer and a currency");
  if (type !== "payment.succeeded" && type !== "payment.failed") throw reject(`nobody handles events of the type ${type}`);
  if (amount === undefined || !Number.isSafeInteger(amount)) throw reject("the amount is no whole number of cents");
  return { id, type, customer, amount, currency };
}

function noted(response: Response): string {
  if (response.status === 404) return "no such customer";
  if (response.status >= 500) throw retry(`the customers' files answer with status ${response.status}`);
  if (response.status !== 200) throw reject(`the customers' files answer with status ${response.status}`);
  return response.body.text();
}

function sentence({ type, customer, amount, currency }: Payment): string {
  const sum = `${(amount / 100).toFixed(2)} ${currency}`;
  return type === "payment.failed" ? `${customer} could not pay ${sum}` : `${customer} paid ${sum}`;
}

function report(inputs: Inputs): Data {
  return json(Object.fromEntries([...inputs].map(([service, said]) => [service, said.text().trim()])));
}
