const one = require("./one");

console.log(one(3));
