extension OpenAPI {
    /// `/lease/…`
    static let leasePaths = #"""
            "/lease/grant": {
              "post": {
                "tags": ["leases"], "operationId": "grantLease", "summary": "Grants a lease with a name",
                "parameters": [
                  {
                    "name": "ttl", "in": "query", "required": true,
                    "description": "Seconds, or a duration like 30s. It ends by itself if it is never kept alive.",
                    "schema": {"type": "string", "pattern": "^([1-9][0-9]{0,8}(s|ms)?|[1-9][0-9]{0,3}[mh])$"}
                  },
                  {
                    "name": "name", "in": "query", "required": true,
                    "description": "Need not be the only one of this name", "example": "/esq/node-1",
                    "schema": {"type": "string", "minLength": 1, "maxLength": 1024}
                  },
                  {"$ref": "#/components/parameters/redirect"}
                ],
                "responses": {
                  "200": {
                    "description": "The lease's id, below 2^53",
                    "headers": {
                      "X-Martlet-Lease-TTL": {"description": "What was granted", "schema": {"type": "integer"}}
                    },
                    "content": {"application/json": {"schema": {"type": "integer", "format": "int64"}}}
                  },
                  "307": {"$ref": "#/components/responses/redirect"},
                  "400": {"$ref": "#/components/responses/badRequest"},
                  "409": {"$ref": "#/components/responses/badRequest"},
                  "413": {"$ref": "#/components/responses/tooLarge"},
                  "429": {"$ref": "#/components/responses/tooMany"},
                  "500": {"$ref": "#/components/responses/failed"},
                  "503": {"$ref": "#/components/responses/noLeader"},
                  "504": {"$ref": "#/components/responses/timeout"},
                  "507": {"$ref": "#/components/responses/noSpace"}
                }
              }
            },
            "/lease/keepalive/{id}": {
              "parameters": [
                {"$ref": "#/components/parameters/leaseID"}, {"$ref": "#/components/parameters/redirect"}
              ],
              "post": {
                "tags": ["leases"], "operationId": "keepLeaseAlive",
                "summary": "Stores data under a key of the lease, and renews it",
                "requestBody": {
                  "required": true,
                  "content": {
                    "application/x-www-form-urlencoded": {
                      "schema": {
                        "type": "object", "required": ["key", "data"],
                        "properties": {
                          "key": {"type": "string", "minLength": 1, "maxLength": 1024},
                          "data": {
                            "type": "string", "description": "JSON",
                            "pattern": "^(\\{\"port\":[1-9][0-9]{0,4}\\}|null)$",
                            "example": "{\"addr\":\"10.0.0.1:80\"}"
                          }
                        }
                      }
                    }
                  }
                },
                "responses": {
                  "200": {"$ref": "#/components/responses/null"},
                  "307": {"$ref": "#/components/responses/redirect"},
                  "400": {"$ref": "#/components/responses/badRequest"},
                  "404": {"$ref": "#/components/responses/unknownLease"},
                  "413": {"$ref": "#/components/responses/tooLarge"},
                  "429": {"$ref": "#/components/responses/tooMany"},
                  "500": {"$ref": "#/components/responses/failed"},
                  "503": {"$ref": "#/components/responses/noLeader"},
                  "504": {"$ref": "#/components/responses/timeout"},
                  "507": {"$ref": "#/components/responses/noSpace"}
                }
              }
            },
            "/lease/kv/{key}": {
              "parameters": [
                {
                  "name": "key", "in": "path", "required": true, "description": "Any; it is not looked at",
                  "schema": {"type": "string", "minLength": 1}
                },
                {"$ref": "#/components/parameters/level"},
                {"$ref": "#/components/parameters/redirect"}
              ],
              "post": {
                "tags": ["leases"], "operationId": "findData",
                "summary": "The data of all live keys of leases whose names begin with a prefix",
                "requestBody": {
                  "required": true,
                  "content": {
                    "application/x-www-form-urlencoded": {
                      "schema": {
                        "type": "object", "required": ["prefix"],
                        "properties": {
                          "prefix": {"type": "string", "minLength": 1, "maxLength": 1024, "example": "/esq/node"}
                        }
                      }
                    }
                  }
                },
                "responses": {
                  "200": {
                    "description": "By name, then by lease, then by key",
                    "content": {"application/json": {"schema": {"type": "array", "items": {}}}}
                  },
                  "307": {"$ref": "#/components/responses/redirect"},
                  "400": {"$ref": "#/components/responses/badRequest"},
                  "413": {"$ref": "#/components/responses/tooLarge"},
                  "429": {"$ref": "#/components/responses/tooMany"},
                  "500": {"$ref": "#/components/responses/failed"},
                  "503": {"$ref": "#/components/responses/noLeader"},
                  "504": {"$ref": "#/components/responses/timeout"}
                }
              }
            },
            "/lease/revoke/{id}": {
              "parameters": [
                {"$ref": "#/components/parameters/leaseID"}, {"$ref": "#/components/parameters/redirect"}
              ],
              "post": {
                "tags": ["leases"], "operationId": "revokeLease",
                "summary": "Ends a lease, and everything that is attached to it",
                "responses": {
                  "200": {"$ref": "#/components/responses/null"},
                  "307": {"$ref": "#/components/responses/redirect"},
                  "400": {"$ref": "#/components/responses/badRequest"},
                  "404": {"$ref": "#/components/responses/unknownLease"},
                  "413": {"$ref": "#/components/responses/tooLarge"},
                  "429": {"$ref": "#/components/responses/tooMany"},
                  "500": {"$ref": "#/components/responses/failed"},
                  "503": {"$ref": "#/components/responses/noLeader"},
                  "504": {"$ref": "#/components/responses/timeout"}
                }
              }
            },
            "/lease/timetolive/{id}": {
              "parameters": [
                {"$ref": "#/components/parameters/leaseID"},
                {"$ref": "#/components/parameters/level"},
                {"$ref": "#/components/parameters/redirect"}
              ],
              "post": {
                "tags": ["leases"], "operationId": "timeToLive", "summary": "How long a lease lives, and what it holds",
                "responses": {
                  "200": {
                    "description": "The lease",
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Lease"}}}
                  },
                  "307": {"$ref": "#/components/responses/redirect"},
                  "400": {"$ref": "#/components/responses/badRequest"},
                  "404": {"$ref": "#/components/responses/unknownLease"},
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
