/** A program that does nothing, to measure the memory of the runtime itself. */
console.log("ready");
setInterval(() => {}, 60_000);
