/** A program that does nothing, to measure what the runtime itself takes. */
console.log("ready");
setInterval(() => {}, 60_000);
