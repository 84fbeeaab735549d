/// What the description of the HTTP API (OpenAPI 3.0) says of services: members of its `paths`, which refer to nothing
/// outside of themselves.
enum DiscoveryOpenAPI {
    private static let error = #"""
        {"application/json": {"schema": {"type": "object", "required": ["error", "message"], "properties": {
                  "error": {"type": "string", "example": "not_found"}, "message": {"type": "string"}}}}}
        """#

    private static func response(_ status: Int, _ text: String) -> String {
        #""\#(status)": {"description": "\#(text)", "content": \#(error)}"#
    }

    /// What anything here may be answered with.
    private static let failures = [
        response(400, "Something of it is wrong; the message says what, and what would be right"),
        response(429, "This member has more to do than it takes"),
        response(500, "This member's data is damaged, or the members differ"),
        response(503, "No leader, a learner, or a member that stops: ask again, or another one"),
        response(504, "No answer in time; a write may still take effect"),
    ].joined(separator: ",\n          ")

    private static let check = #"""
        {"type": "object", "required": ["type"], "properties": {
                  "type": {"type": "string", "enum": ["tcp", "http", "grpc"]},
                  "path": {"type": "string", "pattern": "^/[!-~]*$", "maxLength": 1024, "description": "Of http"},
                  "service": {"type": "string", "maxLength": 255, "description": "Of grpc; \"\" is the whole server"},
                  "port": {"type": "integer", "minimum": 1, "maximum": 65535},
                  "interval": {"type": "string", "default": "10s", "example": "5s"},
                  "timeout": {"type": "string", "default": "2s", "example": "500ms"},
                  "failures": {"type": "integer", "minimum": 1, "maximum": 100, "default": 3},
                  "deregister_after": {"type": "string", "example": "1h"}}}
        """#

    private static let common = #"""
        "address": {"type": "string", "description": "An IP address, or a host's name", "example": "10.0.0.1"},
                  "port": {"type": "integer", "minimum": 1, "maximum": 65535},
                  "tags": {"type": "array", "maxItems": 32, "items": {"type": "string", "maxLength": 128}},
                  "weight": {"type": "integer", "minimum": 0, "maximum": 65535, "default": 1},
                  "meta": {"type": "object", "additionalProperties": {"type": "string"}}
        """#

    private static let registration = #"""
        {"type": "object", "required": ["address", "port"], "properties": {
                  \#(common),
                  "ttl": {"type": "string", "default": "15s", "description": "How long it is listed unrenewed"},
                  "lease": {"type": "string", "description": "A lease of the caller's, in decimal, instead of a ttl"},
                  "check": \#(check)}}
        """#

    private static let instance = #"""
        {"type": "object",
                  "required": ["service", "id", "address", "port", "tags", "weight", "meta", "status", "revision"],
                  "properties": {
                  "service": {"type": "string"}, "id": {"type": "string"},
                  \#(common),
                  "status": {"type": "string", "enum": ["passing", "critical"]},
                  "lease": {"type": "string"}, "ttl": {"type": "integer"}, "check": \#(check),
                  "revision": {"type": "integer", "description": "Of its last change"}}}
        """#

    private static func success(_ status: Int, _ text: String, _ schema: String) -> String {
        #""\#(status)": {"description": "\#(text)", "content": {"application/json": {"schema": \#(schema)}}}"#
    }

    /// A list, or a stream of lists.
    private static func listed(_ text: String, _ schema: String) -> String {
        #""200": {"description": "\#(text)", "content": {"application/json": {"schema": \#(schema)}, "#
            + #""text/event-stream": {"schema": {"type": "string"}}}}"#
    }

    private static let streams =
        "With `Accept: text/event-stream` a stream: the list, and the whole of it again whenever it has "
        + "changed. `Last-Event-ID` or ?index resumes it; ?wait and ?timeout are not for streams."

    private static func parameter(_ name: String, _ place: String, _ text: String, _ schema: String) -> String {
        #"{"name": "\#(name)", "in": "\#(place)", \#(place == "path" ? #""required": true, "# : "")"#
            + #""description": "\#(text)", "schema": \#(schema)}"#
    }

    private static let label = #"{"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"}"#
    private static let service = parameter("service", "path", "The service's name, a label of host names", label)
    private static let id = parameter("id", "path", "The instance's name, a label of host names", label)
    private static let waiting = [
        parameter(
            "wait", "query", "Answer when something has changed, or after this time at the latest: true, or 30s",
            #"{"type": "string"}"#),
        parameter(
            "index", "query", "The revision of the last answer: a change after it counts",
            #"{"type": "integer", "minimum": 0}"#),
        parameter("timeout", "query", "How long to wait at most; 10m is the most", #"{"type": "string"}"#),
    ].joined(separator: ",\n          ")

    private static let listing = #"""
        {"type": "object", "required": ["service", "revision", "instances"], "properties": {
                  "service": {"type": "string"}, "revision": {"type": "integer"},
                  "instances": {"type": "array", "items": \#(instance)}}}
        """#
    private static let names = #"""
        {"type": "object", "required": ["revision", "services"], "properties": {
                  "revision": {"type": "integer"}, "more": {"type": "boolean"},
                  "services": {"type": "array", "items": {"type": "object", "properties": {
                    "name": {"type": "string"}, "healthy": {"type": "integer"}, "checked": {"type": "integer"}}}}}}
        """#
    private static let gone = #"{"type": "object", "properties": {"revision": {"type": "integer"}}}"#
    private static let renewed = #"""
        {"type": "object", "properties": {
                  "lease": {"type": "string"}, "ttl": {"type": "integer"}, "revision": {"type": "integer"}}}
        """#

    private static func operation(
        _ method: String, _ id: String, _ summary: String, description: String? = nil, parameters: String = "",
        body: String? = nil, _ answers: [String]
    ) -> String {
        let description = description.map { "\n          \"description\": \"\($0)\"," } ?? ""
        let body = body.map {
            "\n        \"requestBody\": {\"required\": true, \"content\": {\"application/json\": {\"schema\": \($0)}}},"
        }
        return #"""
                "\#(method)": {
                  "tags": ["services"], "operationId": "\#(id)", "summary": "\#(summary)",\#(description)
                  "parameters": [\#(parameters)],\#(body ?? "")
                  "responses": {
                    \#((answers + [failures]).joined(separator: ",\n          "))
                  }
                }
            """#
    }

    static let paths = [
        (
            "/service", "",
            [
                operation(
                    "get", "listServices", "Names the services that there are", description: streams,
                    parameters: waiting, [listed("The services", names)])
            ]
        ),
        (
            "/service/{service}", service,
            [
                operation(
                    "get", "listInstances", "Lists a service's healthy instances", description: streams,
                    parameters: [
                        parameter("tag", "query", "Only instances with this tag", #"{"type": "string"}"#),
                        parameter(
                            "healthy", "query", "false: those that fail their checks, too",
                            #"{"type": "boolean", "default": true}"#), waiting,
                    ].joined(separator: ",\n          "),
                    [listed("The instances; none where there is no such service", listing)])
            ]
        ),
        (
            "/service/{service}/{id}", service + ",\n    " + id,
            [
                operation(
                    "get", "getInstance", "One instance, healthy or not",
                    [success(200, "The instance", instance), response(404, "There is none")]),
                operation(
                    "put", "registerInstance", "Registers an instance, changes it or renews it", body: registration,
                    [
                        success(200, "As it is now", instance), success(201, "It is new", instance),
                        response(403, "Checks are not on (--enable-service-checks)"),
                        response(404, "There is no such lease"),
                        response(409, "Somebody else registers it now, or there are too many checks"),
                        response(413, "The body is too large"), response(507, "The quota for space is used up"),
                    ]),
                operation(
                    "delete", "deregisterInstance", "Takes an instance back",
                    [
                        success(200, "It is gone", gone), response(404, "There is none"),
                        response(409, "It changes all the time"),
                    ]),
            ]
        ),
        (
            "/service/{service}/{id}/renew", service + ",\n    " + id,
            [
                operation(
                    "post", "renewInstance", "Renews an instance's lease",
                    [
                        success(200, "The whole time from now on", renewed),
                        response(404, "It has no lease any more: register it again"),
                    ])
            ]
        ),
    ].map { path, parameters, operations in
        #"""
            "\#(path)": {
              "parameters": [\#(parameters)],
            \#(operations.joined(separator: ",\n"))
            }
        """#
    }.joined(separator: ",\n")
}
