import EtcdAPI

/// The description of the HTTP API (OpenAPI 3.0) as `GET /openapi.json` serves it: one file of this folder for each tag
/// of it, and the parts that they share. `Tests/Clients/http_api.py` compares it with what the server does.
enum OpenAPI {
    static let response = PlainResponse(status: 200, contentType: "application/json", body: document)

    /// Members of `paths`, as one file each has them.
    private static let paths = [keyPaths, leasePaths, riotPaths]

    private static let document = """
        {
          "openapi": "3.0.3",
          "info": {
            "title": "Martlet",
            "version": "\(MartletVersion.martlet)",
            "description": "Keys and leases of a Martlet cluster, for people and small programs. It is another face of \
        the same keys, revisions and leases that etcd's v3 API has: what one writes, the other reads and watches. Any \
        member takes any request."
          },
          "tags": [
            {"name": "keys", "description": "Keys with raw bodies"},
            {"name": "leases", "description": "Leases by name, with data: who is there"},
            {"name": "riot", "description": "The same keys, by Riot's routes"},
            {"name": "about", "description": "This description"}
          ],
          "paths": {
            "/openapi.json": {
              "get": {
                "tags": ["about"], "operationId": "describe", "summary": "This description",
                "responses": {
                  "200": {"description": "OpenAPI 3.0", "content": {"application/json": {"schema": {"type": "object"}}}}
                }
              }
            },
        \(paths.joined(separator: ",\n"))
          },
          "components": {
        \(components)
          }
        }

        """
}
