"""What an application does with the client that openapi-python-client makes of a server.

Arguments: the server's URL.
"""

import sys

from cortado_client import Client
from cortado_client.api.administration import list_nodes, put_database
from cortado_client.api.batches import batch_get, transact
from cortado_client.api.documents import (
    create_document,
    delete_document,
    get_document,
    get_document_head,
    list_collection,
    patch_document,
    put_document,
)
from cortado_client.models import (
    BatchBody,
    Consistency,
    DatabaseBody,
    Document,
    MergePatch,
    Order,
    Page,
    Problem,
    ProblemOutcome,
    TransactionBody,
    WriteAnswer,
)

client = Client(base_url=sys.argv[1])
album = {"client": client, "database": "music", "table": "album"}

body = DatabaseBody.from_dict(
    {"partitions": 4, "tables": {"album": {"key": ["artist", "title"]}}}
)
declared = put_database.sync_detailed("music", client=client, body=body)
assert declared.status_code == 201, declared

# A slash, a space, a plus sign and a letter beyond ASCII inside the parts of a key.
key = ["AC/DC", "Back in + Black é"]
value = Document.from_dict({"year": 1980, "tracks": ["Hells Bells"]})
created = put_document.sync(**album, key=key, body=value, if_none_match="*", idempotency_key="first")
assert isinstance(created, WriteAnswer) and created.key == key, created

read = get_document.sync_detailed(**album, key=key, cortado_consistency=Consistency.STRICT)
assert isinstance(read.parsed, Document), read
assert read.parsed.additional_properties == {"year": 1980, "tracks": ["Hells Bells"]}, read
assert read.headers["etag"] == f'"{created.etag}"', read
assert get_document_head.sync_detailed(**album, key=key).status_code == 200

merged = patch_document.sync(**album, key=key, body=MergePatch.from_dict({"label": "Atlantic"}))
assert isinstance(merged, WriteAnswer), merged

refused = put_document.sync(**album, key=key, body=Document(), if_match='"0"')
assert isinstance(refused, Problem), refused
assert (refused.code, refused.outcome) == ("condition_failed", ProblemOutcome.NONE), refused
assert refused.etag == merged.etag, refused

made = create_document.sync(**album, prefix=["AC/DC"], body=Document.from_dict({"year": 1979}))
assert isinstance(made, WriteAnswer), made

page = list_collection.sync(**album, prefix=["AC/DC"], limit=1, order=Order.DESC)
assert isinstance(page, Page) and isinstance(page.next_, str), page
assert [entry.key for entry in page.documents] == [key], page
assert page.documents[0].value["year"] == 1980, page
rest = list_collection.sync(
    **album, prefix=["AC/DC"], limit=1, order=Order.DESC, cursor=page.next_
)
assert isinstance(rest, Page) and [entry.key for entry in rest.documents] == [made.key], rest

keys = {"keys": [{"table": "album", "key": key}, {"table": "album", "key": ["no", "body"]}]}
batch = batch_get.sync("music", client=client, body=BatchBody.from_dict(keys))
assert [result.status for result in batch.results] == [200, 404], batch

operations = {"operations": [{"op": "check", "table": "album", "key": key, "if_match": "*"}]}
checked = transact.sync("music", client=client, body=TransactionBody.from_dict(operations))
assert [result.status for result in checked.results] == [200], checked

assert delete_document.sync_detailed(**album, key=key).status_code == 204
gone = get_document.sync(**album, key=key)
assert isinstance(gone, Problem) and gone.code == "no_such_document", gone

assert all(node.alive for node in list_nodes.sync(client=client).nodes)
print("round trip done")
