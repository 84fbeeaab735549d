import EtcdAPI
import Foundation

/// The description of the HTTP API (OpenAPI 3.0) as `GET /openapi.json` serves it: one file of this folder for each tag
/// of it, and the parts that they share; what is said of joining and of services stands beside their routes.
/// `Tests/Clients/http_api.py` compares it with what the server does.
enum OpenAPI {
    static let response = PlainResponse(status: 200, contentType: "application/json", body: document)

    /// All parts in one.
    private static let document: String = {
        var whole = object(ofKeysAndLeases)
        let added = ["paths": object(AdminOpenAPI.paths), "components": object(AdminOpenAPI.components)]
        merge(added, into: &whole)
        merge(["paths": object("{" + DiscoveryOpenAPI.paths + "}")], into: &whole)
        do {
            let data = try JSONSerialization.data(
                withJSONObject: whole, options: [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes])
            return String(decoding: data, as: UTF8.self) + "\n"
        } catch {
            preconditionFailure("the description of the HTTP API: \(error)")
        }
    }()

    /// Of a text of ours, which is an object (a test holds it to that).
    private static func object(_ text: String) -> [String: Any] {
        guard let object = (try? JSONSerialization.jsonObject(with: Data(text.utf8))) as? [String: Any] else {
            preconditionFailure("a part of the description of the HTTP API is no JSON object: \(text.prefix(80))")
        }
        return object
    }

    private static func merge(_ new: [String: Any], into object: inout [String: Any]) {
        object.merge(new) { old, new in
            guard var old = old as? [String: Any], let new = new as? [String: Any] else { return new }
            merge(new, into: &old)
            return old
        }
    }

    /// Members of `paths`, as one file each has them.
    private static let paths = [keyPaths, leasePaths, riotPaths]

    private static let ofKeysAndLeases = """
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
            {"name": "riot", "description": "The same keys by Riot's routes, its buckets, and its later admin calls"},
            {"name": "cluster", "description": "Members: joining, leaving, who they are"},
            {"name": "services", "description": "Services and their instances"},
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
