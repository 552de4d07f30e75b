const two = require("../src/two");

test("two", () => expect(two(4)).toBe(8));
