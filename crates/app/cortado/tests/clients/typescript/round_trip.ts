// What an application does with the client that openapi-typescript and openapi-fetch make of a
// server: types are checked when this is compiled, answers when it runs.
//
// Arguments: the server's URL.

import { deepStrictEqual as equal, ok } from "node:assert";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

type Document = components["schemas"]["Document"];
type Problem = components["schemas"]["Problem"];

const client = createClient<paths>({ baseUrl: process.argv[2] });

// The names of a table in a database, as every path takes them.
const album = { database: "music", table: "album" };

const declared = await client.PUT("/admin/v1/databases/{database}", {
  params: { path: { database: "music" } },
  body: { partitions: 4, tables: { album: { key: ["artist", "title"] } } },
});
equal(declared.response.status, 201);
equal(declared.data?.tables.album?.key, ["artist", "title"]);

// A slash, a space, a plus sign and a letter beyond ASCII inside the parts of a key.
const key = ["AC/DC", "Back in + Black é"];
const one = { path: album, query: { key } };
const value: Document = { year: 1980, tracks: ["Hells Bells"] };
const created = await client.PUT("/v1/{database}/{table}:document", {
  params: { ...one, header: { "If-None-Match": "*", "Idempotency-Key": "first" } },
  body: value,
});
equal(created.response.status, 201);
equal(created.data?.key, key);

const read = await client.GET("/v1/{database}/{table}:document", {
  params: { ...one, header: { "Cortado-Consistency": "strict" } },
});
equal(read.data, value);
equal(read.response.headers.get("etag"), `"${created.data?.etag}"`);

const merged = await client.PATCH("/v1/{database}/{table}:document", {
  params: one,
  body: { label: "Atlantic" },
  headers: { "Content-Type": "application/merge-patch+json" },
});
equal(merged.response.status, 200);

const refused = await client.PUT("/v1/{database}/{table}:document", {
  params: { ...one, header: { "If-Match": '"0"' } },
  body: {},
});
equal(refused.response.status, 412);
const problem: Problem | undefined = refused.error;
equal([problem?.code, problem?.outcome], ["condition_failed", "none"]);
equal(problem?.etag, merged.data?.etag);

const made = await client.POST("/v1/{database}/{table}:collection", {
  params: { path: album, query: { prefix: ["AC/DC"] } },
  body: { year: 1979 },
});
equal(made.response.status, 201);

const titles: string[] = [];
let cursor: string | undefined;
do {
  const page = await client.GET("/v1/{database}/{table}:collection", {
    params: { path: album, query: { prefix: ["AC/DC"], limit: 1, order: "desc", cursor } },
  });
  ok(page.data, JSON.stringify(page.error));
  for (const { key, value } of page.data.documents) {
    titles.push(`${key[1]}: ${value.year}`);
  }
  cursor = page.data.next;
} while (cursor);
equal(titles, [`${key[1]}: 1980`, `${made.data?.key[1]}: 1979`]);

const batch = await client.POST("/v1/{database}:batchGet", {
  params: { path: { database: "music" } },
  body: { keys: [{ table: "album", key }, { table: "album", key: ["no", "body"] }] },
});
equal(batch.data?.results.map(({ status }) => status), [200, 404]);

const transaction = await client.POST("/v1/{database}:transact", {
  params: { path: { database: "music" } },
  body: { operations: [{ op: "delete", table: "album", key }] },
});
equal(transaction.data?.results[0]?.status, 204);
const gone = await client.GET("/v1/{database}/{table}:document", { params: one });
equal([gone.data, gone.error?.code], [undefined, "no_such_document"]);

const nodes = await client.GET("/admin/v1/nodes");
ok(nodes.data?.nodes.every(({ alive }) => alive));
console.log("round trip done");
