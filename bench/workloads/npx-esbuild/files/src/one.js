const two = require("./two");

module.exports = (n) => two(n) + 1;
