package import EtcdAPI
import Foundation

/// What `lease` prints, in etcdctl's formats.
package enum LeaseOutput {
    package static func grant(
        _ response: Etcdserverpb_LeaseGrantResponse, _ format: OutputFormat
    ) throws(UnsupportedFormat) -> [UInt8] {
        switch format {
        case .simple: text("lease \(id(response.id)) granted with TTL(\(response.ttl)s)\n")
        case .json:
            object(response.header) {
                $0.always("ID", response.id)
                $0.always("TTL", response.ttl)
                $0.raw("Error", GoText.json(response.error))
            }
        case .fields: text(ClusterOutput.fields(response.header) + fields(response.id, response.ttl))
        case .protobuf: Protobuf.bytes(response.header)
        case .table: throw UnsupportedFormat(format: format)
        }
    }

    package static func revoke(
        _ response: WireHeaderOnlyResponse, id lease: Int64, _ format: OutputFormat
    ) throws(UnsupportedFormat) -> [UInt8] {
        switch format {
        case .simple: text("lease \(id(lease)) revoked\n")
        case .json: KeyValueOutput.line(.make { $0.object("header", KeyValueOutput.json(response.header)) })
        case .fields: text(KeyValueOutput.fields(response.header))
        case .table, .protobuf: throw UnsupportedFormat(format: format)
        }
    }

    package static func keepAlive(
        _ response: WireLeaseKeepAliveResponse, _ format: OutputFormat
    ) throws(UnsupportedFormat) -> [UInt8] {
        switch format {
        case .simple: text("lease \(id(response.id)) keepalived with TTL(\(response.ttl))\n")
        case .json:
            object(response.header) {
                $0.always("ID", response.id)
                $0.always("TTL", response.ttl)
            }
        case .fields: text(KeyValueOutput.fields(response.header) + fields(response.id, response.ttl))
        case .protobuf: (response.header ?? WireHeader()).encoded()
        case .table: throw UnsupportedFormat(format: format)
        }
    }

    /// The last line of `keep-alive`, in the simple format.
    package static func gone(id lease: Int64) -> String { "lease \(id(lease)) expired or revoked.\n" }

    package static func timeToLive(
        _ response: Etcdserverpb_LeaseTimeToLiveResponse, keys: Bool, _ format: OutputFormat
    ) throws(UnsupportedFormat) -> [UInt8] {
        switch format {
        case .simple:
            if response.grantedTtl == 0, response.ttl == -1 {
                return text("lease \(id(response.id)) already expired\n")
            }
            var line = Array(
                "lease \(id(response.id)) granted with TTL(\(response.grantedTtl)s), remaining(\(response.ttl)s)".utf8)
            if keys {
                line += Array(", attached keys([".utf8) + response.keys.joined(separator: [UInt8(ascii: " ")])
                line += Array("])".utf8)
            }
            return line + [UInt8(ascii: "\n")]
        case .json:
            return object(response.header) {
                $0.always("id", response.id)
                $0.always("ttl", response.ttl)
                $0.always("granted-ttl", response.grantedTtl)
                let keys = response.keys.map { "\"\(GoText.base64(Array($0)))\"" }
                $0.raw("keys", keys.isEmpty ? "null" : "[" + keys.joined(separator: ",") + "]")
            }
        case .fields:
            let keys = response.keys.map { "\"Key\" : \(GoText.quoted(Array($0)))\n" }
            return text(
                ClusterOutput.fields(response.header) + fields(response.id, response.ttl)
                    + "\"GrantedTTL\" : \(response.grantedTtl)\n" + keys.joined())
        case .protobuf: return Protobuf.bytes(response.header)
        case .table: throw UnsupportedFormat(format: format)
        }
    }

    package static func list(
        _ response: Etcdserverpb_LeaseLeasesResponse, _ format: OutputFormat
    ) throws(UnsupportedFormat) -> [UInt8] {
        switch format {
        case .simple:
            text("found \(response.leases.count) leases\n" + response.leases.map { id($0.id) + "\n" }.joined())
        case .json:
            object(response.header) {
                let leases = response.leases.map { lease in JSONObject.make { $0.always("id", lease.id) } }
                $0.raw("leases", JSONObject.array(leases))
            }
        case .fields:
            text(ClusterOutput.fields(response.header) + response.leases.map { "\"ID\" : \($0.id)\n" }.joined())
        case .protobuf: Protobuf.bytes(response.header)
        case .table: throw UnsupportedFormat(format: format)
        }
    }

    // MARK: Pieces

    /// Go's `%016x`.
    package static func id(_ id: Int64) -> String {
        let digits = GoText.hex(UInt64(bitPattern: id))
        return String(repeating: "0", count: max(0, 16 - digits.count)) + digits
    }

    private static func text(_ text: String) -> [UInt8] { Array(text.utf8) }

    private static func fields(_ id: Int64, _ ttl: Int64) -> String { "\"ID\" : \(id)\n\"TTL\" : \(ttl)\n" }

    /// Structures of etcd's client: the header's fields stand in the object itself.
    private static func object(
        _ header: Etcdserverpb_ResponseHeader, _ build: (inout JSONObject) -> Void
    ) -> [UInt8] { object(WireHeader(header), build) }

    private static func object(_ header: WireHeader?, _ build: (inout JSONObject) -> Void) -> [UInt8] {
        var object = KeyValueOutput.json(header ?? WireHeader()) ?? JSONObject()
        build(&object)
        return KeyValueOutput.line(object)
    }
}
