module.exports = [{ files: ["src/*.js"], rules: { semi: "error", "prefer-const": "error" } }];
