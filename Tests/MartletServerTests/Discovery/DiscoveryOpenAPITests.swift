import Foundation
import Testing

@testable import MartletServer

struct DiscoveryOpenAPITests {
    @Test func `the description of the routes is JSON, with every route and no name twice`() throws {
        let text = "{" + DiscoveryOpenAPI.paths + "}"
        let object = try #require(
            try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: [String: Any]])
        #expect(
            object.mapValues { Set($0.keys).subtracting(["parameters"]) } == [
                "/service": ["get"], "/service/{service}": ["get"],
                "/service/{service}/{id}": ["get", "put", "delete"],
                "/service/{service}/{id}/renew": ["post"],
            ])
        let names = object.values.flatMap(\.values).compactMap { ($0 as? [String: Any])?["operationId"] as? String }
        #expect(names.count == 6 && Set(names).count == 6)
    }
}
