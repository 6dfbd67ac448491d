// What CloudFront does around a function, as far as the tests need it.
//
//     node edge.mjs ask            events on standard input, what came of them on standard output
//     node edge.mjs serve          HTTP on a free port of 127.0.0.1, which is printed; what the function lets through is
//                                  fetched from ORIGIN, and gets the HEADERS of a response headers policy
import http from 'http';
import { text } from 'stream/consumers';
import { handler } from './function.mjs';

const headers = (found) => {
  const told = {};
  for (const [name, value] of Object.entries(found)) {
    told[name.toLowerCase()] = { value };
  }
  return told;
};

async function answered(event) {
  try {
    return await handler(event);
  } catch (error) {
    return { statusCode: 503, statusDescription: 'Service Unavailable', headers: {}, failed: String(error) };
  }
}

async function ask() {
  const events = JSON.parse(await text(process.stdin));
  const results = [];
  for (const event of events) {
    results.push(await answered(event));
  }
  console.log(JSON.stringify(results));
}

function serve() {
  const policy = Object.fromEntries(Object.entries(JSON.parse(process.env.HEADERS)).map(([name, value]) => [name.toLowerCase(), value]));
  const server = http.createServer(async (incoming, outgoing) => {
    const [uri, query] = incoming.url.split('?');
    const request = { method: incoming.method, uri, querystring: query ? { [query]: { value: '' } } : {}, headers: headers(incoming.headers), cookies: {} };
    const result = await answered({ version: '1.0', request });
    if (result.statusCode) {
      const told = Object.fromEntries(Object.entries(result.headers).map(([name, header]) => [name, header.value]));
      outgoing.writeHead(result.statusCode, result.statusDescription, told).end(result.body);
      return;
    }
    const kept = ['range', 'if-none-match', 'if-modified-since', 'if-range'].filter((name) => incoming.headers[name]);
    const forwarded = Object.fromEntries(kept.map((name) => [name, incoming.headers[name]]));
    const path = process.env.BUCKET_PATH + result.uri;
    const origin = http.request(process.env.ORIGIN, { path, method: result.method, headers: forwarded }, (reply) => {
      outgoing.writeHead(reply.statusCode, { ...reply.headers, ...policy });
      reply.pipe(outgoing);
    });
    origin.on('error', () => outgoing.writeHead(502).end());
    origin.end();
  });
  server.listen(0, '127.0.0.1', () => console.log(server.address().port));
}

await { ask, serve }[process.argv[2]]();
