/// What the HTTP API's description (OpenAPI 3.0) says of joining and of the admin calls: path items by their paths, and
/// the schemas that they name under `#/components/schemas`. Both are JSON objects, to be taken into the whole document.
enum AdminOpenAPI {
    static let paths = #"""
        {
          "/cluster/join": {
            "post": {
              "operationId": "clusterJoin", "tags": ["cluster"],
              "summary": "Gives a member that is to join its place, as a learner.",
              "description": "Asked again under the same name and peer URLs, it answers with the same place.",
              "requestBody": {"required": true, "content": {"application/json": {
                "schema": {"$ref": "#/components/schemas/JoinQuestion"}}}},
              "responses": {
                "200": {"description": "The place.", "content": {"application/json": {
                  "schema": {"$ref": "#/components/schemas/JoinAnswer"}}}},
                "400": {"$ref": "#/components/responses/JoinRefusal"},
                "404": {"$ref": "#/components/responses/JoinRefusal"},
                "409": {"$ref": "#/components/responses/JoinRefusal"},
                "422": {"$ref": "#/components/responses/JoinRefusal"},
                "503": {"$ref": "#/components/responses/JoinRefusalForNow"}
              }
            }
          },
          "/cluster/move": {
            "post": {
              "operationId": "clusterMove", "tags": ["cluster"],
              "summary": "Changes the peer URLs of a member that answers at the new ones.",
              "requestBody": {"required": true, "content": {"application/json": {"schema": {
                "type": "object", "required": ["clusterID", "memberID", "peerURLs"], "properties": {
                  "clusterID": {"$ref": "#/components/schemas/ID"},
                  "memberID": {"$ref": "#/components/schemas/ID"},
                  "peerURLs": {"$ref": "#/components/schemas/URLs"}}}}}},
              "responses": {
                "200": {"description": "The members, as they are now.", "content": {"application/json": {
                  "schema": {"$ref": "#/components/schemas/JoinAnswer"}}}},
                "400": {"$ref": "#/components/responses/JoinRefusal"},
                "404": {"$ref": "#/components/responses/JoinRefusal"},
                "409": {"$ref": "#/components/responses/JoinRefusal"},
                "422": {"$ref": "#/components/responses/JoinRefusal"},
                "503": {"$ref": "#/components/responses/JoinRefusalForNow"}
              }
            }
          },
          "/join": {
            "post": {
              "operationId": "join", "tags": ["cluster"],
              "summary": "raftd's way of adding a member. Martlet adds it as a learner.",
              "requestBody": {"required": true, "content": {"application/json": {"schema": {
                "type": "object", "required": ["httpAddr", "raftAddr", "id"], "properties": {
                  "httpAddr": {"type": "string", "example": "10.0.0.4:2379"},
                  "raftAddr": {"type": "string", "example": "10.0.0.4:2380"},
                  "id": {"type": "string", "example": "n4"}}}}}},
              "responses": {
                "200": {"description": "It has its place.", "content": {"application/json": {
                  "schema": {"$ref": "#/components/schemas/JoinAnswer"}}}},
                "400": {"$ref": "#/components/responses/JoinRefusal"},
                "409": {"$ref": "#/components/responses/JoinRefusal"},
                "422": {"$ref": "#/components/responses/JoinRefusal"},
                "503": {"$ref": "#/components/responses/JoinRefusalForNow"}
              }
            }
          },
          "/admin/status": {"get": {
            "operationId": "adminStatus", "tags": ["admin"],
            "summary": "This member's part: Leader, Follower, Candidate or Learner.",
            "responses": {"200": {"$ref": "#/components/responses/AdminAnswer"}}}},
          "/admin/peer": {"get": {
            "operationId": "adminPeer", "tags": ["admin"], "summary": "The peer addresses of all members.",
            "responses": {"200": {"$ref": "#/components/responses/AdminAnswer"}}}},
          "/admin/leader": {"get": {
            "operationId": "adminLeader", "tags": ["admin"],
            "summary": "The leader's peer address; error 3 where there is none.",
            "responses": {"200": {"$ref": "#/components/responses/AdminAnswer"}}}},
          "/admin/lrpc": {"get": {
            "operationId": "adminLeaderRPC", "tags": ["admin"],
            "summary": "Where the leader's clients connect, by gRPC or HTTP; error 3 where there is none.",
            "responses": {"200": {"$ref": "#/components/responses/AdminAnswer"}}}},
          "/admin/join": {"post": {
            "operationId": "adminJoin", "tags": ["admin"],
            "summary": "Riot's way of adding a member. Martlet adds it as a learner.",
            "requestBody": {"$ref": "#/components/requestBodies/AdminPlace"},
            "responses": {
              "200": {"$ref": "#/components/responses/AdminAnswer"},
              "400": {"$ref": "#/components/responses/AdminAnswer"},
              "409": {"$ref": "#/components/responses/AdminAnswer"},
              "422": {"$ref": "#/components/responses/AdminAnswer"},
              "503": {"$ref": "#/components/responses/AdminAnswer"}}}},
          "/admin/remove": {"delete": {
            "operationId": "adminRemove", "tags": ["admin"],
            "summary": "Removes the member at a peer address, unless the majority would be lost by it.",
            "requestBody": {"$ref": "#/components/requestBodies/AdminPlace"},
            "responses": {
              "200": {"$ref": "#/components/responses/AdminAnswer"},
              "400": {"$ref": "#/components/responses/AdminAnswer"},
              "404": {"$ref": "#/components/responses/AdminAnswer"},
              "409": {"$ref": "#/components/responses/AdminAnswer"},
              "503": {"$ref": "#/components/responses/AdminAnswer"}}}},
          "/admin/members": {"get": {
            "operationId": "adminMembers", "tags": ["admin"],
            "summary": "All members, who leads, and who has not been connected to the asked one for how long.",
            "responses": {"200": {"description": "The members.", "content": {"application/json": {
              "schema": {"$ref": "#/components/schemas/MembersReport"}}}}}}},
          "/admin/replace": {"post": {
            "operationId": "adminReplace", "tags": ["admin"],
            "summary": "The next step of putting a new member in the place of another one.",
            "description": "Asked until state is replaced. The new one's vote and the old one's end are one change.",
            "requestBody": {"required": true, "content": {"application/json": {"schema": {
              "type": "object", "required": ["old", "peerURLs"], "properties": {
                "old": {"type": "string", "description": "A name or an id.", "example": "n2"},
                "name": {"type": "string", "description": "Of the new one."},
                "peerURLs": {"$ref": "#/components/schemas/URLs"}}}}}},
            "responses": {
              "200": {"description": "How far it is.", "content": {"application/json": {"schema": {
                "type": "object", "required": ["state", "memberID", "initialCluster"], "properties": {
                  "state": {"type": "string", "enum": ["added", "waiting", "replaced"]},
                  "memberID": {"$ref": "#/components/schemas/ID"},
                  "reason": {"type": "string"}, "initialCluster": {"type": "string"}}}}}},
              "400": {"$ref": "#/components/responses/JoinRefusal"},
              "404": {"$ref": "#/components/responses/JoinRefusal"},
              "409": {"$ref": "#/components/responses/JoinRefusal"},
              "503": {"$ref": "#/components/responses/JoinRefusalForNow"}}}},
          "/admin/snapshot": {"get": {
            "operationId": "adminSnapshot", "tags": ["admin"],
            "summary": "This member's snapshot, as martlet snapshot save writes it.",
            "responses": {
              "200": {"description": "The file.", "content": {"application/octet-stream": {
                "schema": {"type": "string", "format": "binary"}}}},
              "503": {"$ref": "#/components/responses/JoinRefusalForNow"}}}}
        }
        """#

    /// What goes under `components`, part by part.
    static let components = #"""
        {
          "schemas": {
            "ID": {"type": "string", "description": "In hexadecimal.", "example": "8e9e05c52164694d"},
            "URLs": {"type": "array", "minItems": 1, "items": {"type": "string", "example": "http://10.0.0.4:2380"}},
            "JoinQuestion": {"type": "object", "required": ["name", "peerURLs"], "properties": {
              "name": {"type": "string"}, "peerURLs": {"$ref": "#/components/schemas/URLs"},
              "token": {"type": "string"}, "clusterID": {"$ref": "#/components/schemas/ID"},
              "memberID": {"$ref": "#/components/schemas/ID"},
              "nonce": {"type": "string", "description": "What the member answers at its peer URLs, at /martlet/self."},
              "replaces": {"type": "string", "description": "A name or an id."}}},
            "JoinAnswer": {"type": "object",
              "required": ["clusterID", "memberID", "members", "initialCluster"], "properties": {
                "clusterID": {"$ref": "#/components/schemas/ID"}, "memberID": {"$ref": "#/components/schemas/ID"},
                "initialCluster": {"type": "string", "example": "n1=http://10.0.0.1:2380,n4=http://10.0.0.4:2380"},
                "members": {"type": "array", "items": {"type": "object", "properties": {
                  "id": {"$ref": "#/components/schemas/ID"}, "name": {"type": "string"},
                  "peerURLs": {"$ref": "#/components/schemas/URLs"},
                  "clientURLs": {"type": "array", "items": {"type": "string"}},
                  "isLearner": {"type": "boolean"}}}}}},
            "MembersReport": {"type": "object", "required": ["clusterID", "memberID", "members"], "properties": {
              "clusterID": {"$ref": "#/components/schemas/ID"}, "memberID": {"$ref": "#/components/schemas/ID"},
              "leaderID": {"$ref": "#/components/schemas/ID"},
              "members": {"type": "array", "items": {"type": "object", "properties": {
                "id": {"$ref": "#/components/schemas/ID"}, "name": {"type": "string"},
                "peerURLs": {"$ref": "#/components/schemas/URLs"},
                "clientURLs": {"type": "array", "items": {"type": "string"}},
                "role": {"type": "string", "enum": ["leader", "follower", "learner"]},
                "state": {"type": "string", "enum": ["ok", "silent", "not started"]},
                "silentSeconds": {"type": "number"}}}}}}
          },
          "requestBodies": {
            "AdminPlace": {"required": true, "content": {"application/json": {"schema": {
              "type": "object", "required": ["ip", "port"], "properties": {
                "ip": {"type": "string", "example": "10.0.0.4"}, "port": {"type": "string", "example": "2380"}}}}}}
          },
          "responses": {
            "JoinRefusal": {"description": "Why not.", "content": {"application/json": {"schema": {
              "type": "object", "required": ["code", "error"], "properties": {
                "error": {"type": "string"},
                "code": {"type": "string", "enum": ["bad-request", "no-leader", "not-ready", "too-many-learners",
                  "other-cluster", "name-in-use", "address-in-use", "started-before", "removed", "unknown-member",
                  "unreachable", "quorum", "refused"]}}}}}},
            "JoinRefusalForNow": {"description": "Why not yet; asking again may help.",
              "headers": {"Retry-After": {"schema": {"type": "integer"}}},
              "content": {"application/json": {"schema": {
                "type": "object", "required": ["code", "error"], "properties": {
                  "code": {"type": "string"}, "error": {"type": "string"}}}}}},
            "AdminAnswer": {"description": "Riot's shape.", "content": {"application/json": {"schema": {
              "type": "object", "required": ["results", "error", "time"], "properties": {
                "results": {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
                "error": {"type": "integer", "minimum": 0, "maximum": 5,
                  "description": "0 fine, 1 network, 2 bad bytes, 3 no leader, 4 unknown error, 5 unknown command"},
                "time": {"type": "number", "description": "Seconds."}}}}}}
          }
        }
        """#
}
