extension OpenAPI {
    /// What several tags refer to.
    static let components = #"""
            "parameters": {
              "key": {
                "name": "key", "in": "path", "required": true,
                "description": "The key: any bytes, percent-encoded. Slashes may stay as they are; a plus is a plus.",
                "schema": {"type": "string", "minLength": 1}
              },
              "level": {
                "name": "level", "in": "query",
                "description": "stale: what this member has, which may be old, leader or not. default and consistent: \#
        all that was acknowledged before.",
                "schema": {"type": "string", "enum": ["stale", "default", "consistent"], "default": "default"}
              },
              "redirect": {
                "name": "redirect", "in": "query",
                "description": "Answer 307 with the leader's address instead of passing the request on to it. The \#
        field `Prefer: redirect` does the same.",
                "schema": {"anyOf": [{"type": "boolean"}, {"type": "string", "enum": ["", "1", "0"]}], "default": false}
              },
              "prefix": {
                "name": "prefix", "in": "query",
                "description": "All keys that begin with this key; of GET, as JSON.",
                "schema": {"type": "boolean", "default": false}
              },
              "ifMatch": {
                "name": "If-Match", "in": "header",
                "description": "Entity tags, or *: go on only if the key is at one of them; otherwise 412.",
                "schema": {"type": "string", "example": "\"42\""}
              },
              "ifNoneMatch": {
                "name": "If-None-Match", "in": "header",
                "description": "Entity tags, or *: go on only if the key is at none of them; otherwise 304 for GET, \#
        412 for others. * lets a PUT only create.",
                "schema": {"type": "string", "example": "*"}
              },
              "leaseID": {
                "name": "id", "in": "path", "required": true,
                "description": "A lease's id: decimal, or hexadecimal behind 0x.",
                "schema": {"type": "string", "pattern": "^[1-9][0-9]{0,15}$", "example": "5417831872869616"}
              },
              "riotKey": {
                "name": "key", "in": "query", "required": true, "description": "The key",
                "schema": {"type": "string", "minLength": 1}
              },
              "riotPathKey": {
                "name": "key", "in": "path", "required": true, "description": "The key",
                "schema": {"type": "string", "minLength": 1}
              },
              "riotBucket": {
                "name": "bucket", "in": "path", "required": true, "description": "The bucket's name",
                "schema": {"$ref": "#/components/schemas/RiotBucketName"}
              },
              "qs": {
                "name": "qs", "in": "query", "description": "0: this member's own state; 1: the cluster's",
                "schema": {"type": "string", "enum": ["0", "1"], "default": "1"}
              }
            },
            "headers": {
              "revision": {
                "description": "The store's revision that this answer is about: a wait goes on from it.",
                "schema": {"type": "integer", "format": "int64"}
              },
              "etag": {"description": "The key's mod revision, in quotes", "schema": {"type": "string"}},
              "number": {"description": "Of the key, as in etcd", "schema": {"type": "integer", "format": "int64"}},
              "lease": {"description": "The id of the key's lease", "schema": {"type": "string"}},
              "event": {
                "description": "Of a wait", "schema": {"type": "string", "enum": ["put", "delete", "none"]}
              },
              "retryAfter": {"description": "Seconds", "schema": {"type": "integer"}}
            },
            "schemas": {
              "Error": {
                "type": "object", "required": ["error", "message"], "additionalProperties": false,
                "properties": {
                  "error": {"type": "string", "description": "For programs", "example": "not_found"},
                  "message": {"type": "string", "description": "For people"}
                }
              },
              "Encoding": {
                "type": "string", "enum": ["text", "base64"],
                "description": "text: as it is. base64: it is not UTF-8."
              },
              "Key": {
                "type": "object", "additionalProperties": false,
                "required": ["key", "key_encoding", "create_revision", "mod_revision", "version"],
                "properties": {
                  "key": {"type": "string"},
                  "key_encoding": {"$ref": "#/components/schemas/Encoding"},
                  "value": {"type": "string"},
                  "value_encoding": {"$ref": "#/components/schemas/Encoding"},
                  "content_type": {"type": "string"},
                  "create_revision": {"type": "integer", "format": "int64"},
                  "mod_revision": {"type": "integer", "format": "int64"},
                  "version": {"type": "integer", "format": "int64"},
                  "lease": {"type": "string", "description": "An id; a string, since etcd's exceed 2^53"},
                  "created": {"type": "boolean", "description": "Of a put: there was no such key before"}
                }
              },
              "Page": {
                "type": "object", "additionalProperties": false, "required": ["revision", "keys"],
                "properties": {
                  "revision": {"type": "integer", "format": "int64", "description": "Of the whole list"},
                  "keys": {"type": "array", "items": {"$ref": "#/components/schemas/Key"}},
                  "continue": {"type": "string", "description": "There is more: give this as ?continue="}
                }
              },
              "Event": {
                "type": "object", "additionalProperties": false, "required": ["type", "key", "key_encoding"],
                "properties": {
                  "type": {"type": "string", "enum": ["put", "delete"]},
                  "key": {"type": "string"},
                  "key_encoding": {"$ref": "#/components/schemas/Encoding"},
                  "value": {"type": "string"},
                  "value_encoding": {"$ref": "#/components/schemas/Encoding"},
                  "create_revision": {"type": "integer", "format": "int64"},
                  "mod_revision": {"type": "integer", "format": "int64"},
                  "version": {"type": "integer", "format": "int64"},
                  "lease": {"type": "string"}
                }
              },
              "Events": {
                "type": "object", "additionalProperties": false, "required": ["revision", "events"],
                "properties": {
                  "revision": {"type": "integer", "format": "int64", "description": "Of all of them"},
                  "events": {"type": "array", "items": {"$ref": "#/components/schemas/Event"}}
                }
              },
              "Deleted": {
                "type": "object", "additionalProperties": false, "required": ["revision", "deleted"],
                "properties": {
                  "revision": {"type": "integer", "format": "int64"},
                  "deleted": {"type": "integer", "format": "int64"}
                }
              },
              "Lease": {
                "type": "object", "additionalProperties": false,
                "required": ["id", "name", "ttl", "granted_ttl", "data", "keys"],
                "properties": {
                  "id": {"type": "string"},
                  "name": {"type": "string", "description": "Empty if it was granted without one"},
                  "ttl": {"type": "integer", "format": "int64", "description": "Seconds that are left"},
                  "granted_ttl": {"type": "integer", "format": "int64"},
                  "data": {
                    "type": "array",
                    "items": {
                      "type": "object", "additionalProperties": false, "required": ["key", "data"],
                      "properties": {"key": {"type": "string"}, "data": {}}
                    }
                  },
                  "keys": {
                    "type": "array", "description": "Other keys that end with the lease",
                    "items": {
                      "type": "object", "additionalProperties": false, "required": ["key", "key_encoding"],
                      "properties": {
                        "key": {"type": "string"}, "key_encoding": {"$ref": "#/components/schemas/Encoding"}
                      }
                    }
                  }
                }
              },
              "RiotError": {
                "type": "object", "additionalProperties": false, "required": ["errCode", "msg"],
                "properties": {"errCode": {"type": "integer"}, "msg": {"type": "string"}}
              },
              "RiotBucketName": {
                "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[^/\\x00-\\x1f\\x7f]+$",
                "example": "student"
              },
              "RiotDone": {
                "type": "object", "additionalProperties": false, "required": ["ret"],
                "properties": {"ret": {"type": "integer", "enum": [0]}}
              },
              "RiotFailure": {
                "type": "object", "additionalProperties": false, "required": ["msg", "ret"],
                "properties": {
                  "msg": {"type": "string", "description": "For people"},
                  "ret": {
                    "type": "integer", "enum": [1, 2, 3, 4],
                    "description": "1 not possible now, 2 invalid request, 3 forbidden, 4 not found"
                  }
                }
              },
              "RiotValue": {
                "type": "object", "additionalProperties": false, "required": ["data", "ret"],
                "properties": {
                  "data": {"type": "string"},
                  "data_encoding": {
                    "type": "string", "enum": ["base64"], "description": "The value is not UTF-8, and data is Base64"
                  },
                  "ret": {"type": "integer", "enum": [0]}
                }
              },
              "RiotBucket": {
                "type": "object", "additionalProperties": false, "required": ["data", "ret"],
                "properties": {
                  "data": {
                    "type": "object", "additionalProperties": false, "required": ["BucketN", "KeyN", "LeafInuse"],
                    "properties": {
                      "BucketN": {"type": "integer", "enum": [1]},
                      "KeyN": {"type": "integer", "format": "int64", "description": "Its keys"},
                      "LeafInuse": {"type": "integer", "format": "int64", "description": "Bytes of keys and values"}
                    }
                  },
                  "ret": {"type": "integer", "enum": [0]}
                }
              },
              "RiotText": {
                "type": "object", "additionalProperties": false, "required": ["data", "ret"],
                "properties": {"data": {"type": "string"}, "ret": {"type": "integer", "enum": [0]}}
              },
              "RiotTexts": {
                "type": "object", "additionalProperties": false, "required": ["data", "ret"],
                "properties": {
                  "data": {"type": "array", "items": {"type": "string"}}, "ret": {"type": "integer", "enum": [0]}
                }
              },
              "RiotNumber": {
                "type": "object", "additionalProperties": false, "required": ["data", "ret"],
                "properties": {"data": {"type": "integer", "minimum": 1}, "ret": {"type": "integer", "enum": [0]}}
              }
            },
            "responses": {
              "badRequest": {
                "description": "Something in the request is wrong; nothing was done",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
              },
              "notFound": {
                "description": "There is no such key or lease",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
              },
              "compacted": {
                "description": "This revision can be read no more",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
              },
              "preconditionFailed": {
                "description": "If-Match or If-None-Match does not hold; nothing was done",
                "headers": {"ETag": {"$ref": "#/components/headers/etag"}},
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
              },
              "tooLarge": {
                "description": "Larger than --max-request-bytes; nothing was done",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
              },
              "tooMany": {
                "description": "This member has too much to do; nothing was done",
                "headers": {"Retry-After": {"$ref": "#/components/headers/retryAfter"}},
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
              },
              "failed": {
                "description": "The data is damaged, or the cluster's members differ",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
              },
              "noLeader": {
                "description": "There is no leader at the moment; nothing was done",
                "headers": {"Retry-After": {"$ref": "#/components/headers/retryAfter"}},
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
              },
              "timeout": {
                "description": "No answer in time; a write may have taken effect or not",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
              },
              "noSpace": {
                "description": "The quota for space is used up; nothing was done",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
              },
              "redirect": {
                "description": "?redirect: ask there",
                "headers": {"Location": {"description": "At the leader", "schema": {"type": "string"}}}
              },
              "null": {
                "description": "Done",
                "content": {"application/json": {"schema": {"nullable": true, "enum": [null]}}}
              },
              "unknownLease": {
                "description": "There is no such lease, or it has ended",
                "content": {"application/json": {"schema": {"type": "string", "enum": ["can not find this Lease"]}}}
              },
              "riotError": {
                "description": "In Riot's words",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/RiotError"}}}
              },
              "riotFailure": {
                "description": "In the words of Riot's later routes; Retry-After where asking again may help",
                "headers": {"Retry-After": {"$ref": "#/components/headers/retryAfter"}},
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/RiotFailure"}}}
              }
            }
        """#
}
