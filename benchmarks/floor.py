"""The floor of a publish to S3: a bare script over boto3 that does only what cannot be left out.

It reads a project's index, puts the artifacts concurrently, and puts the index with their names added: no checks, no conditions,
no page, no root. What takes longer than this took longer for a reason, or for none.

``python benchmarks/floor.py ENDPOINT BUCKET KEY FILE…``: *KEY* is the index's, the artifacts lie beside it. The credentials and
the region are boto3's own to find (``AWS_ACCESS_KEY_ID``, …).
"""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.exceptions import ClientError

#: Up to this many bytes a file goes out in one request; it is boto3's own bound, too.
WHOLE = 8 << 20


def main(endpoint: str, bucket: str, key: str, paths: list[str]) -> None:
    """Publish the files at *paths*."""
    s3 = boto3.client("s3", endpoint_url=endpoint)
    directory = key.rpartition("/")[0]

    def put(path: str) -> None:
        name = f"{directory}/{os.path.basename(path)}"  # noqa: PTH119  pathlib is no part of the floor
        if os.path.getsize(path) > WHOLE:  # noqa: PTH202
            s3.upload_file(path, bucket, name)
            return
        with open(path, "rb") as file:  # noqa: PTH123
            s3.put_object(Bucket=bucket, Key=name, Body=file)

    try:
        index = json.load(s3.get_object(Bucket=bucket, Key=key)["Body"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchKey":
            raise
        index = {"files": []}
    with ThreadPoolExecutor() as pool:
        list(pool.map(put, paths))
    names = [os.path.basename(path) for path in paths]  # noqa: PTH119
    index["files"] = [*index["files"], *({"filename": name, "url": name} for name in names)]
    s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(index).encode())


if __name__ == "__main__":
    main(*sys.argv[1:4], sys.argv[4:])
