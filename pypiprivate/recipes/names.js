// For nginx: where a project's page is whose name is written in another way (PEP 503).

function normalized(r) {
    return r.variables.named.replace(/[-_.]+/g, '-').toLowerCase() + '/';
}

export default { normalized };
