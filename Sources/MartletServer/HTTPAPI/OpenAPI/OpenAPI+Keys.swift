extension OpenAPI {
    /// `/key/…`
    static let keyPaths = #"""
            "/key/{key}": {
              "parameters": [{"$ref": "#/components/parameters/key"}, {"$ref": "#/components/parameters/redirect"}],
              "get": {
                "tags": ["keys"], "operationId": "getKey",
                "summary": "A key's value; with ?prefix a list; with ?wait the next change",
                "description": "Raw, with the type that it was put with; as JSON for `Accept: application/json`. With \#
        `Accept: text/event-stream` a stream of events, that `Last-Event-ID` or ?index resumes.",
                "parameters": [
                  {"$ref": "#/components/parameters/level"},
                  {
                    "name": "rev", "in": "query", "description": "As it was at this revision; 0 is now",
                    "schema": {"type": "integer", "format": "int64", "minimum": 0}
                  },
                  {"$ref": "#/components/parameters/prefix"},
                  {
                    "name": "keys", "in": "query", "description": "Of ?prefix: without values",
                    "schema": {"type": "boolean"}
                  },
                  {
                    "name": "limit", "in": "query", "description": "Of ?prefix: so many keys, 1000 if it is not said",
                    "schema": {"type": "integer", "minimum": 1, "maximum": 10000}
                  },
                  {
                    "name": "continue", "in": "query",
                    "description": "Of ?prefix: what the page before ended with. All pages are of one revision.",
                    "schema": {"type": "string"}
                  },
                  {
                    "name": "wait", "in": "query", "description": "Answer when the key changes",
                    "schema": {"type": "boolean"}
                  },
                  {
                    "name": "index", "in": "query",
                    "description": "Of ?wait: the first change after this revision, past or not; without it, after now",
                    "schema": {"type": "integer", "format": "int64", "minimum": 0}
                  },
                  {
                    "name": "timeout", "in": "query",
                    "description": "Of ?wait: seconds, or a duration like 30s, 600s at most; 60s if it is not said. \#
        Then the answer is 204.",
                    "schema": {"type": "string", "pattern": "^([0-9]{1,2}|[0-9]{1,2}s|[0-9]{1,3}ms)$"}
                  },
                  {"$ref": "#/components/parameters/ifMatch"},
                  {"$ref": "#/components/parameters/ifNoneMatch"}
                ],
                "responses": {
                  "200": {
                    "description": "The value, the list, or what happened",
                    "headers": {
                      "X-Martlet-Revision": {"$ref": "#/components/headers/revision"},
                      "ETag": {"$ref": "#/components/headers/etag"},
                      "X-Martlet-Create-Revision": {"$ref": "#/components/headers/number"},
                      "X-Martlet-Mod-Revision": {"$ref": "#/components/headers/number"},
                      "X-Martlet-Version": {"$ref": "#/components/headers/number"},
                      "X-Martlet-Lease": {"$ref": "#/components/headers/lease"},
                      "X-Martlet-Event": {"$ref": "#/components/headers/event"}
                    },
                    "content": {
                      "*/*": {"schema": {"type": "string", "format": "binary"}},
                      "application/json": {
                        "schema": {
                          "oneOf": [
                            {"$ref": "#/components/schemas/Key"}, {"$ref": "#/components/schemas/Page"},
                            {"$ref": "#/components/schemas/Events"}
                          ]
                        }
                      },
                      "text/event-stream": {"schema": {"type": "string"}}
                    }
                  },
                  "204": {
                    "description": "?wait: nothing happened in time; ask again with the same index",
                    "headers": {"X-Martlet-Revision": {"$ref": "#/components/headers/revision"}}
                  },
                  "304": {
                    "description": "If-None-Match: it is that one still",
                    "headers": {"ETag": {"$ref": "#/components/headers/etag"}}
                  },
                  "307": {"$ref": "#/components/responses/redirect"},
                  "400": {"$ref": "#/components/responses/badRequest"},
                  "404": {"$ref": "#/components/responses/notFound"},
                  "410": {"$ref": "#/components/responses/compacted"},
                  "412": {"$ref": "#/components/responses/preconditionFailed"},
                  "429": {"$ref": "#/components/responses/tooMany"},
                  "500": {"$ref": "#/components/responses/failed"},
                  "503": {"$ref": "#/components/responses/noLeader"},
                  "504": {"$ref": "#/components/responses/timeout"}
                }
              },
              "put": {
                "tags": ["keys"], "operationId": "putKey", "summary": "Sets a key to the body",
                "parameters": [
                  {
                    "name": "ttl", "in": "query",
                    "description": "The key ends after this time, unless it is put again: seconds, or a duration like \#
        30s. Its lease is granted in the same step, and ended when the key is put or deleted.",
                    "schema": {"type": "string", "pattern": "^([1-9][0-9]{0,8}(s|ms)?|[1-9][0-9]{0,3}[mh])$"}
                  },
                  {
                    "name": "lease", "in": "query", "description": "Attach the key to this lease; not with ttl",
                    "schema": {"type": "string", "pattern": "^[1-9][0-9]{0,15}$"}
                  },
                  {"$ref": "#/components/parameters/ifMatch"},
                  {"$ref": "#/components/parameters/ifNoneMatch"}
                ],
                "requestBody": {
                  "description": "Any bytes. Content-Type is kept and given back, but for application/octet-stream \#
        and application/x-www-form-urlencoded (which curl says of any -d).",
                  "content": {
                    "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
                    "text/plain": {"schema": {"type": "string"}}
                  }
                },
                "responses": {
                  "200": {
                    "description": "Done. The body is empty, or JSON for `Accept: application/json`",
                    "headers": {
                      "X-Martlet-Revision": {"$ref": "#/components/headers/revision"},
                      "ETag": {"$ref": "#/components/headers/etag"}
                    },
                    "content": {
                      "text/plain": {"schema": {"type": "string", "maxLength": 0}},
                      "application/json": {"schema": {"$ref": "#/components/schemas/Key"}}
                    }
                  },
                  "307": {"$ref": "#/components/responses/redirect"},
                  "400": {"$ref": "#/components/responses/badRequest"},
                  "404": {"$ref": "#/components/responses/notFound"},
                  "409": {"$ref": "#/components/responses/badRequest"},
                  "412": {"$ref": "#/components/responses/preconditionFailed"},
                  "413": {"$ref": "#/components/responses/tooLarge"},
                  "429": {"$ref": "#/components/responses/tooMany"},
                  "500": {"$ref": "#/components/responses/failed"},
                  "503": {"$ref": "#/components/responses/noLeader"},
                  "504": {"$ref": "#/components/responses/timeout"},
                  "507": {"$ref": "#/components/responses/noSpace"}
                }
              },
              "delete": {
                "tags": ["keys"], "operationId": "deleteKey", "summary": "Deletes a key; with ?prefix all below it",
                "parameters": [
                  {"$ref": "#/components/parameters/prefix"},
                  {"$ref": "#/components/parameters/ifMatch"},
                  {"$ref": "#/components/parameters/ifNoneMatch"}
                ],
                "responses": {
                  "200": {
                    "description": "Done. The body is empty, or JSON for `Accept: application/json`",
                    "headers": {
                      "X-Martlet-Revision": {"$ref": "#/components/headers/revision"},
                      "X-Martlet-Deleted": {"description": "How many", "schema": {"type": "integer"}}
                    },
                    "content": {
                      "text/plain": {"schema": {"type": "string", "maxLength": 0}},
                      "application/json": {"schema": {"$ref": "#/components/schemas/Deleted"}}
                    }
                  },
                  "307": {"$ref": "#/components/responses/redirect"},
                  "400": {"$ref": "#/components/responses/badRequest"},
                  "404": {"$ref": "#/components/responses/notFound"},
                  "412": {"$ref": "#/components/responses/preconditionFailed"},
                  "413": {"$ref": "#/components/responses/tooLarge"},
                  "429": {"$ref": "#/components/responses/tooMany"},
                  "500": {"$ref": "#/components/responses/failed"},
                  "503": {"$ref": "#/components/responses/noLeader"},
                  "504": {"$ref": "#/components/responses/timeout"}
                }
              }
            }
        """#
}
