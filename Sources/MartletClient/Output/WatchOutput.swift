package import EtcdAPI

/// What `watch` prints, in etcdctl's formats.
package enum WatchOutput {
    package static func response(
        _ response: WireWatchResponse<[UInt8]>, _ format: OutputFormat, hex: Bool = false
    ) throws(UnsupportedFormat) -> [UInt8] {
        switch format {
        case .simple:
            return response.events.flatMap { event -> [UInt8] in
                Array((name(of: event) + "\n").utf8) + (event.prevKV.map { KeyValueOutput.pair($0, hex: hex) } ?? [])
                    + KeyValueOutput.pair(event.kv ?? WireKeyValue(), hex: hex)
            }
        case .json:
            // A structure of etcd's client, not the message: hence the names, and that nothing is left out.
            return KeyValueOutput.line(
                .make {
                    $0.object("Header", KeyValueOutput.json(response.header ?? WireHeader()))
                    $0.raw("Events", JSONObject.array(response.events.map(json)))
                    $0.always("CompactRevision", response.compactRevision)
                    $0.raw("Canceled", "\(response.canceled)")
                    $0.raw("Created", "\(response.created)")
                })
        case .fields:
            let events = response.events.map { event in
                "\"Type\" : \(name(of: event))\n"
                    + (event.prevKV.map { KeyValueOutput.fields($0, prefix: "Prev") } ?? "")
                    + KeyValueOutput.fields(event.kv ?? WireKeyValue(), prefix: "")
            }
            return Array((KeyValueOutput.fields(response.header) + events.joined()).utf8)
        case .protobuf: return response.encoded()
        case .table: throw UnsupportedFormat(format: format)
        }
    }

    package static func name(of event: WireEvent<[UInt8]>) -> String { event.isDelete ? "DELETE" : "PUT" }

    private static func json(_ event: WireEvent<[UInt8]>) -> JSONObject {
        .make {
            $0.number("type", event.isDelete ? 1 : 0)
            $0.object("kv", event.kv.map(KeyValueOutput.json))
            $0.object("prev_kv", event.prevKV.map(KeyValueOutput.json))
        }
    }
}
