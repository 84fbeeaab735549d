import Foundation
import Testing

@testable import MartletServer

@Suite struct AdminOpenAPITests {
    private func object(_ text: String) throws -> [String: Any] {
        try #require(JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    }

    @Test func `the fragments are JSON, and name only schemas that there are`() throws {
        let components = try object(AdminOpenAPI.components)
        let all = AdminOpenAPI.paths + AdminOpenAPI.components
        var found = 0
        for part in all.components(separatedBy: "\"#/components/").dropFirst() {
            let path = part.prefix { $0 != "\"" }.split(separator: "/").map(String.init)
            let kind = try #require(components[path[0]] as? [String: Any], "no \(path)")
            #expect(kind[path[1]] != nil, "no \(path)")
            found += 1
        }
        #expect(found > 30)
    }

    @Test func `every path of it is written down, and the other way round`() throws {
        let paths = try object(AdminOpenAPI.paths)
        #expect(
            Set(paths.keys) == [
                "/cluster/join", "/cluster/move", "/join", "/admin/status", "/admin/peer", "/admin/leader",
                "/admin/lrpc", "/admin/join", "/admin/remove", "/admin/members", "/admin/replace", "/admin/snapshot",
            ])
    }
}
