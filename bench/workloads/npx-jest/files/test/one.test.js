const one = require("../src/one");

test("one", () => expect(one(1)).toBe(3));
