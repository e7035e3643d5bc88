// Parameters as data: one declaration gives the JSON Schema that users see, its defaults
// included, so the host hands over every parameter and the converter never guesses.
//
//     export const hyperparameters = {
//       epochs: integer(10, "Epochs", "Passes over the data.", { minimum: 1 }),
//     };

const typed = (type) => (initial, title, description, words = {}) => ({
  title,
  description,
  type,
  ...words,
  default: initial,
});

export const boolean = typed("boolean");
export const integer = typed("integer");
export const number = typed("number");
export const string = typed("string");

/** A parameter that may be `null`: "not set" is a value of its own. */
export const optional = (parameter) => ({
  ...parameter,
  type: [parameter.type, "null"],
  ...(parameter.enum && { enum: [...parameter.enum, null] }),
});

/** The JSON Schema 2020-12 of an object with these parameters and no others. */
export const schemaOf = (parameters, title) => ({
  $schema: "https://json-schema.org/draft/2020-12/schema",
  title,
  type: "object",
  properties: parameters,
  additionalProperties: false,
});
