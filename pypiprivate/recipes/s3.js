// For nginx: asks a bucket for one object, signed with keys that may read it (AWS Signature Version 4).

import crypto from 'crypto';
import fs from 'fs';

var TYPES = {
    html: 'text/html',
    json: 'application/vnd.pypi.simple.v1+json',
    xml: 'application/atom+xml',
    file: 'application/octet-stream',
};

// Where a project's page is whose name is written in another way (PEP 503).
function normalized(r) {
    var name = r.variables.named;
    return name ? name.replace(/[-_.]+/g, '-').toLowerCase() + '/' : '';
}

function url(r) {
    return r.variables.s3_scheme + '://' + r.variables.s3_host + path(r);
}

// Computed once for each request: nginx keeps what a variable was.
function date() {
    return new Date().toISOString().replace(/[-:]|\.[0-9]*/g, '');
}

function token(r) {
    return keys(r).token;
}

// Without keys nothing is signed: the bucket then answers what it answers to anybody.
function authorization(r) {
    var found = keys(r);
    if (!found.access) {
        return '';
    }
    var when = r.variables.s3_date;
    var headers = [
        ['host', r.variables.s3_host],
        ['x-amz-content-sha256', 'UNSIGNED-PAYLOAD'],
        ['x-amz-date', when],
    ].concat(found.token ? [['x-amz-security-token', found.token]] : []);
    var names = headers.map(function (header) { return header[0]; }).join(';');
    var lines = headers.map(function (header) { return header[0] + ':' + header[1] + '\n'; }).join('');
    var request = [r.method, path(r), '', lines, names, 'UNSIGNED-PAYLOAD'].join('\n');
    var scope = [when.substring(0, 8), r.variables.s3_region, 's3', 'aws4_request'];
    var text = ['AWS4-HMAC-SHA256', when, scope.join('/'), sha256(request)].join('\n');
    var key = scope.reduce(hmac, 'AWS4' + found.secret);
    return 'AWS4-HMAC-SHA256 Credential=' + found.access + '/' + scope.join('/') +
        ', SignedHeaders=' + names + ', Signature=' + hmac(key, text).toString('hex');
}

// Whatever the object says of itself, it is what its name says; and what the store says of itself is nobody's business.
function labelled(r) {
    for (var name in r.headersOut) {
        if (!/^(content-length|content-range|accept-ranges|etag|last-modified|date)$/i.test(name)) {
            delete r.headersOut[name];
        }
    }
    if (r.status < 300) {
        r.headersOut['Content-Type'] = TYPES[r.variables.s3_type];
    }
}

// A store that refuses our keys must not make people type theirs.
function refused(r) {
    if (r.status != 401) {
        delete r.headersOut['WWW-Authenticate'];
    }
}

function path(r) {
    var bucket = r.variables.s3_bucket;
    return '/' + (bucket + (bucket && '/') + r.variables.s3_prefix + r.variables.s3_key).split('/').map(encoded).join('/');
}

function encoded(part) {
    return encodeURIComponent(part).replace(/[!'()*]/g, function (c) { return '%' + c.charCodeAt(0).toString(16).toUpperCase(); });
}

function keys(r) {
    var text;
    try {
        text = fs.readFileSync(r.variables.s3_credentials, 'utf8');
    } catch (e) {
        var environment = process.env;
        return {
            access: environment.PP_S3_ACCESS_KEY || '',
            secret: environment.PP_S3_SECRET_KEY || '',
            token: environment.PP_S3_SESSION_TOKEN || '',
        };
    }
    return parsed(r, text);
}

// What the file says must not be told: an error of the parser may quote it.
function parsed(r, text) {
    var said = {};
    try {
        said = JSON.parse(text);
    } catch (e) {
        r.error('the file of the keys for the bucket is not JSON');
    }
    return { access: said.AccessKeyId || '', secret: said.SecretAccessKey || '', token: said.SessionToken || said.Token || '' };
}

function hmac(key, text) {
    return crypto.createHmac('sha256', key).update(text).digest();
}

function sha256(text) {
    return crypto.createHash('sha256').update(text).digest('hex');
}

export default { normalized, url, date, token, authorization, labelled, refused };
