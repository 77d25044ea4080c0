// The definition of a flow as plain data: handler ids stand where the author put closures. Its JSON form is the one that the host
// uses, so its keys are named as there, and what is left out there is `undefined` here.
export {};
