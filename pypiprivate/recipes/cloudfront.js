import cf from 'cloudfront';
import crypto from 'crypto';

// Where clients see the index, and where it lies in the bucket.
const BASE = '@path@/';
const KEYS = '/@prefix@';

// By user name: the SHA-256 of USER:PASSWORD in hex; several with blanks between them.
const users = cf.kvs();

const CREDENTIALS = /^basic +([a-z0-9+\/]{1,512}={0,2})$/i;
const USER = /^([A-Za-z0-9._@-]{1,64}):/;
const JSON_FORM = /application\/vnd\.pypi\.simple\.(?:v1|latest)\+json/i;

// What an index has, below its base: pages, documents, and files. Nothing else is asked for.
const PAGE = new RegExp('^(@project@/)?$');
const DOCUMENT = new RegExp('^(@document@)$');
const FILE = new RegExp('^@project@/(@digest@/)?@filename@$');
const NAME = new RegExp('^(@name@)/?$');

async function handler(event) {
  const request = event.request;
  if (!(await isUser(textOf(request.headers.authorization)))) {
    return answer(401, 'Unauthorized', { 'www-authenticate': { value: 'Basic realm="packages", charset="UTF-8"' } });
  }
  delete request.headers.authorization;
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return answer(405, 'Method Not Allowed', { allow: { value: 'GET, HEAD' } });
  }
  if (request.uri + '/' === BASE) {
    return redirect(BASE);
  }
  if (!request.uri.startsWith(BASE) || /[^!-~]/.test(request.uri)) {
    return answer(404, 'Not Found', {});
  }
  return serve(request, request.uri.substring(BASE.length));
}

// A store that fails is an exception, which CloudFront answers with 503: nobody is let in, nobody is told to be unknown.
async function isUser(header) {
  const encoded = CREDENTIALS.exec(header);
  if (!encoded) {
    return false;
  }
  const pair = Buffer.from(encoded[1], 'base64').toString('utf8');
  const user = USER.exec(pair);
  if (!user || !(await users.exists(user[1]))) {
    return false;
  }
  const known = await users.get(user[1]);
  return known.split(/\s+/).indexOf(crypto.createHash('sha256').update(pair).digest('hex')) !== -1;
}

function serve(request, path) {
  request.querystring = {};
  if (PAGE.test(path)) {
    // The form is in the URI, so the cache needs to know nothing of Accept.
    request.uri = KEYS + path + (JSON_FORM.test(textOf(request.headers.accept)) ? 'index.json' : 'index.html');
    return request;
  }
  const plain = path.replace(/%2b/gi, '+').replace(/%21/g, '!');
  if (DOCUMENT.test(plain) || FILE.test(plain)) {
    // S3 takes a bare + for a blank.
    request.uri = KEYS + plain.replace(/\+/g, '%2B');
    return request;
  }
  const name = NAME.exec(path);
  return name ? redirect(BASE + name[1].toLowerCase().replace(/[-_.]+/g, '-') + '/') : answer(404, 'Not Found', {});
}

function textOf(header) {
  if (!header) {
    return '';
  }
  return header.multiValue ? header.multiValue.map((one) => one.value).join(', ') : header.value;
}

function redirect(location) {
  return answer(301, 'Moved Permanently', { location: { value: location } });
}

function answer(statusCode, statusDescription, headers) {
  headers['cache-control'] = { value: 'no-store' };
  headers['content-type'] = { value: 'text/plain; charset=utf-8' };
  headers['strict-transport-security'] = { value: 'max-age=31536000' };
  headers['x-content-type-options'] = { value: 'nosniff' };
  return { statusCode: statusCode, statusDescription: statusDescription, headers: headers, body: statusDescription + '\n' };
}
