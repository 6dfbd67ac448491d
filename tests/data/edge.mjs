// What CloudFront does around a function, as far as the tests need it.
//
//     node edge.mjs ask            events on standard input, what came of them on standard output
//     node edge.mjs serve          HTTP on a free port of 127.0.0.1, which is printed; what the function lets through is
//                                  fetched from the private bucket that DISTRIBUTION names, with its keys, and the answer
//                                  gets and loses the headers that a response headers policy says
import crypto from 'crypto';
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
  const { origin, path, region, keys, ...policy } = JSON.parse(process.env.DISTRIBUTION);
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
    const asked = { method: result.method, path: path + result.uri };
    const sent = { ...forwarded, ...signed(asked, new URL(origin).host, region, keys) };
    const fetched = http.request(origin, { ...asked, headers: sent }, (reply) => {
      outgoing.writeHead(reply.statusCode, shown(reply.headers, policy));
      reply.pipe(outgoing);
    });
    fetched.on('error', () => outgoing.writeHead(502).end());
    fetched.end();
  });
  server.listen(0, '127.0.0.1', () => console.log(server.address().port));
}

// What an origin access control adds to a request (AWS Signature Version 4).
function signed({ method, path }, host, region, { access, secret }) {
  const when = new Date().toISOString().replace(/[-:]|\.[0-9]*/g, '');
  const added = { host, 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD', 'x-amz-date': when };
  const names = Object.keys(added).join(';');
  const lines = Object.entries(added).map(([name, value]) => `${name}:${value}\n`).join('');
  const canonical = path.split('/').map((part) => encoded(decodeURIComponent(part))).join('/');
  const scope = [when.substring(0, 8), region, 's3', 'aws4_request'];
  const hash = sha256([method, canonical, '', lines, names, 'UNSIGNED-PAYLOAD'].join('\n'));
  const key = scope.reduce(hmac, `AWS4${secret}`);
  const signature = hmac(key, ['AWS4-HMAC-SHA256', when, scope.join('/'), hash].join('\n')).toString('hex');
  const authorization = `AWS4-HMAC-SHA256 Credential=${access}/${scope.join('/')}, SignedHeaders=${names}, Signature=${signature}`;
  return { ...added, authorization };
}

function shown(stored, policy) {
  const lower = (name) => name.toLowerCase();
  const removed = policy.removed.map(lower);
  const kept = Object.entries(stored).filter(([name]) => !removed.includes(name));
  const put = Object.entries(policy.headers).map(([name, value]) => [lower(name), value]);
  return Object.fromEntries([...kept, ...put]);
}

const encoded = (part) => encodeURIComponent(part).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
const hmac = (key, text) => crypto.createHmac('sha256', key).update(text).digest();
const sha256 = (text) => crypto.createHash('sha256').update(text).digest('hex');

await { ask, serve }[process.argv[2]]();
