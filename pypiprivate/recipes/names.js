// For nginx: where a project's page is whose name is written in another way (PEP 503).

function normalized(r) {
    var name = r.variables.named;
    return name ? name.replace(/[-_.]+/g, '-').toLowerCase() + '/' : '';
}

export default { normalized };
