extension OpenAPI {
    /// `/riot…`
    static let riotPaths = #"""
            "/riot": {
              "parameters": [
                {"$ref": "#/components/parameters/riotKey"}, {"$ref": "#/components/parameters/redirect"}
              ],
        \#(riotOperations(""))
            },
            "/riot/key/{key}": {
              "parameters": [
                {"$ref": "#/components/parameters/riotPathKey"}, {"$ref": "#/components/parameters/redirect"}
              ],
        \#(riotOperations("ByPath"))
            },
        \#(riotBucketPaths),
        \#(riotAdminPaths)
        """#

    private static func riotOperations(_ suffix: String) -> String {
        #"""
              "get": {
                "tags": ["riot"], "operationId": "riotGet\#(suffix)", "summary": "A key's value",
                "parameters": [{"$ref": "#/components/parameters/qs"}],
                "responses": {
                  "200": {
                    "description": "The value", "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}
                  },
        \#(riotErrors)
                }
              },
              "post": {
                "tags": ["riot"], "operationId": "riotSet\#(suffix)", "summary": "Sets a key to the body",
                "requestBody": {
                  "required": true,
                  "content": {
                    "application/octet-stream": {"schema": {"type": "string", "format": "binary", "minLength": 1}}
                  }
                },
                "responses": {
                  "200": {
                    "description": "Done", "content": {"text/plain": {"schema": {"type": "string", "maxLength": 0}}}
                  },
        \#(riotErrors)
                }
              },
              "delete": {
                "tags": ["riot"], "operationId": "riotDelete\#(suffix)",
                "summary": "Deletes a key; one that is not there is deleted already",
                "responses": {
                  "200": {
                    "description": "Done", "content": {"text/plain": {"schema": {"type": "string", "maxLength": 0}}}
                  },
        \#(riotErrors)
                }
              }
        """#
    }

    private static let riotErrors = #"""
                  "307": {"$ref": "#/components/responses/redirect"},
                  "400": {"$ref": "#/components/responses/riotError"},
                  "403": {"$ref": "#/components/responses/riotError"},
                  "404": {"$ref": "#/components/responses/riotError"},
                  "409": {"$ref": "#/components/responses/riotError"},
                  "413": {"$ref": "#/components/responses/riotError"},
                  "429": {"$ref": "#/components/responses/riotError"},
                  "500": {"$ref": "#/components/responses/riotError"},
                  "503": {"$ref": "#/components/responses/riotError"},
                  "507": {"$ref": "#/components/responses/riotError"}
        """#

    // MARK: Buckets

    private static let riotBucketPaths = #"""
            "/riot/bucket": {
              "parameters": [{"$ref": "#/components/parameters/redirect"}],
              "post": {
                "tags": ["riot"], "operationId": "riotCreateBucket",
                "summary": "Makes a bucket; one that is there already is as good",
                "requestBody": {
                  "required": true,
                  "description": "The bucket's name: UTF-8, without slashes and control characters, up to 255 bytes",
                  "content": {"text/plain": {"schema": {"$ref": "#/components/schemas/RiotBucketName"}}}
                },
                "responses": {
        \#(riotDone),
        \#(riotFailures)
                }
              }
            },
            "/riot/bucket/{bucket}": {
              "parameters": [
                {"$ref": "#/components/parameters/riotBucket"}, {"$ref": "#/components/parameters/redirect"}
              ],
              "get": {
                "tags": ["riot"], "operationId": "riotDescribeBucket", "summary": "How much is in a bucket",
                "parameters": [{"$ref": "#/components/parameters/qs"}],
                "responses": {
                  "200": {
                    "description": "How much is in it",
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/RiotBucket"}}}
                  },
        \#(riotFailures)
                }
              },
              "delete": {
                "tags": ["riot"], "operationId": "riotDeleteBucket",
                "summary": "Deletes a bucket and its keys, at one revision; one that is not there is deleted already",
                "description": "One of more than 100000 keys is refused: delete some of them first.",
                "responses": {
        \#(riotDone),
        \#(riotFailures)
                }
              }
            },
            "/riot/bucket/{bucket}/key/{key}": {
              "parameters": [
                {"$ref": "#/components/parameters/riotBucket"}, {"$ref": "#/components/parameters/riotPathKey"},
                {"$ref": "#/components/parameters/redirect"}
              ],
              "get": {
                "tags": ["riot"], "operationId": "riotGetInBucket", "summary": "A key's value",
                "parameters": [{"$ref": "#/components/parameters/qs"}],
                "responses": {
                  "200": {
                    "description": "The value",
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/RiotValue"}}}
                  },
        \#(riotFailures)
                }
              },
              "post": {
                "tags": ["riot"], "operationId": "riotSetInBucket", "summary": "Sets a key to the body",
                "requestBody": {
                  "required": true,
                  "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
                },
                "responses": {
        \#(riotDone),
        \#(riotFailures)
                }
              },
              "delete": {
                "tags": ["riot"], "operationId": "riotDeleteInBucket",
                "summary": "Deletes a key; one that is not there is deleted already",
                "responses": {
        \#(riotDone),
        \#(riotFailures)
                }
              }
            }
        """#

    private static let riotDone = #"""
                  "200": {
                    "description": "Done",
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/RiotDone"}}}
                  }
        """#

    private static let riotFailures = #"""
                  "307": {"$ref": "#/components/responses/redirect"},
                  "403": {"$ref": "#/components/responses/riotFailure"},
                  "404": {"$ref": "#/components/responses/riotFailure"},
                  "413": {"$ref": "#/components/responses/riotFailure"},
                  "429": {"$ref": "#/components/responses/riotFailure"},
                  "500": {"$ref": "#/components/responses/riotFailure"},
                  "503": {"$ref": "#/components/responses/riotFailure"},
                  "504": {"$ref": "#/components/responses/riotFailure"},
                  "507": {"$ref": "#/components/responses/riotFailure"}
        """#

    // MARK: Admin

    private static let riotAdminPaths = #"""
            "/riot/admin/leader": {
              "get": {
                "tags": ["riot"], "operationId": "riotLeader", "summary": "The leader's peer address",
                "responses": {
                  "200": {
                    "description": "Host and port",
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/RiotText"}}}
                  },
                  "503": {"$ref": "#/components/responses/riotFailure"}
                }
              }
            },
            "/riot/admin/peers": {
              "get": {
                "tags": ["riot"], "operationId": "riotPeers", "summary": "The peer addresses of all members",
                "responses": {
                  "200": {
                    "description": "Hosts and ports",
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/RiotTexts"}}}
                  }
                }
              }
            },
            "/riot/admin/states": {
              "get": {
                "tags": ["riot"], "operationId": "riotStates",
                "summary": "What part each member has, as the asked one sees it",
                "responses": {
                  "200": {
                    "description": "Lines like \"Node at 10.0.0.1:2380 [Leader]\"",
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/RiotTexts"}}}
                  }
                }
              }
            },
            "/riot/admin/snapshot": {
              "get": {
                "tags": ["riot"], "operationId": "riotSnapshot",
                "summary": "Brings this member's snapshot, which is its engine, up to now; says that one is kept",
                "responses": {
                  "200": {
                    "description": "How many are kept: 1",
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/RiotNumber"}}}
                  },
                  "503": {"$ref": "#/components/responses/riotFailure"}
                }
              }
            },
            "/riot/admin/remove": {
              "post": {
                "tags": ["riot"], "operationId": "riotRemove",
                "summary": "Removes the member at a peer address, unless the majority would be lost by it",
                "requestBody": {"$ref": "#/components/requestBodies/AdminPlace"},
                "responses": {
        \#(riotDone),
                  "403": {"$ref": "#/components/responses/riotFailure"},
                  "404": {"$ref": "#/components/responses/riotFailure"},
                  "409": {"$ref": "#/components/responses/riotFailure"},
                  "503": {"$ref": "#/components/responses/riotFailure"}
                }
              }
            }
        """#
}
