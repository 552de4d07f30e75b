module.exports = { entry: "./src/main.js", target: "node", output: { path: __dirname + "/dist" } };
