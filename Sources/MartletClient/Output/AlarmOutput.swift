package import EtcdAPI

/// What `alarm list|disarm` print, in etcdctl's formats.
package enum AlarmOutput {
    package static func alarms(
        _ response: Etcdserverpb_AlarmResponse, _ format: OutputFormat
    ) throws(UnsupportedFormat) -> [UInt8] {
        switch format {
        case .simple:
            return Array(
                response.alarms.map { alarm in
                    // gogo's text form of a message, in which what is zero is left out.
                    (alarm.memberID == 0 ? "" : "memberID:\(alarm.memberID) ")
                        + (alarm.alarm == .none ? "" : "alarm:\(name(alarm.alarm)) ") + "\n"
                }.joined().utf8)
        case .json:
            return KeyValueOutput.line(
                .make {
                    $0.object("header", ClusterOutput.header(response.hasHeader ? response.header : nil))
                    $0.objects(
                        "alarms",
                        response.alarms.map { alarm in
                            .make {
                                $0.number("memberID", alarm.memberID)
                                $0.number("alarm", alarm.alarm.rawValue)
                            }
                        })
                })
        case .fields:
            let alarms = response.alarms.map { alarm in
                "\"MemberID\" : \(alarm.memberID)\n\"AlarmType\" : \(name(alarm.alarm))\n\n"
            }
            // The answer to `disarm` is put together from several: it has no header of its own.
            let header = response.hasHeader ? ClusterOutput.fields(response.header) : ""
            return Array((header + alarms.joined()).utf8)
        case .protobuf: return Protobuf.bytes(response)
        case .table: throw UnsupportedFormat(format: format)
        }
    }

    package static func name(_ alarm: Etcdserverpb_AlarmType) -> String {
        switch alarm {
        case .none: "NONE"
        case .nospace: "NOSPACE"
        case .corrupt: "CORRUPT"
        case .UNRECOGNIZED(let number): "\(number)"
        }
    }
}
