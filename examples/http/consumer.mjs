// Consumes over HTTP with fetch, until it has processed as many messages as its argument says: Node 18 or later.
// SERVICE_URL: where `fairdispatch serve` is. API_KEY: a key with the scope consume.

const { SERVICE_URL, API_KEY } = process.env;

// Does the work; whatever is thrown here gives the message back.
async function handle(delivery) {
  console.log(`${delivery.customer}: ${delivery.payload} (attempt ${delivery.attempt})`);
}

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

// Asks until there is an answer: all calls here may be repeated, at worst a message comes once more.
async function call(path, body) {
  for (;;) {
    let answer;
    try {
      answer = await fetch(SERVICE_URL + path, {
        method: "POST",
        headers: { authorization: `Bearer ${API_KEY}`, "content-type": "application/json" },
        body: JSON.stringify(body),
      });
    } catch (error) {
      console.error(`no answer: ${error.cause ?? error}`);
      await pause(1);
      continue;
    }
    if (answer.status === 429 || answer.status === 503) {
      await pause(Number(answer.headers.get("retry-after") ?? 1));
      continue;
    }
    if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`);
    return answer.json();
  }
}

const count = Number(process.argv[2]);
let done = 0;
while (done < count) {
  const { deliveries } = await call("/v1/deliveries", { max_messages: Math.min(100, count - done), wait: 20 });
  const outcomes = await Promise.allSettled(deliveries.map(handle));
  const receipts = (status) =>
    deliveries.filter((_, place) => outcomes[place].status === status).map((delivery) => delivery.receipt);
  const processed = receipts("fulfilled");
  const failed = receipts("rejected");
  if (processed.length > 0) {
    const { lost } = await call("/v1/deliveries/ack", { receipts: processed });
    for (const receipt of lost) console.error(`took too long, delivered again: ${receipt}`);
  }
  if (failed.length > 0) {
    await call("/v1/deliveries/nack", { receipts: failed, delay: 10, reason: "failed" });
  }
  done += processed.length;
}
