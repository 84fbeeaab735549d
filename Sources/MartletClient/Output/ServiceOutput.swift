/// What `service` prints, in the formats of the other commands. JSON is the server's own.
package enum ServiceOutput {
    package static func names(
        _ names: ServiceNames, json: [UInt8], _ format: OutputFormat
    ) throws(UnsupportedFormat) -> [UInt8] {
        switch format {
        case .simple: return Array(names.services.map { $0.name + "\n" }.joined().utf8)
        case .json: return json
        case .fields:
            let lines = names.services.map {
                "\"Service\" : \(GoText.quoted($0.name))\n\"Healthy\" : \($0.healthy)\n\"Checked\" : \($0.checked)\n"
            }
            return Array(("\"Revision\" : \(names.revision)\n" + lines.joined()).utf8)
        case .table:
            var table = TextTable(["SERVICE", "HEALTHY", "CHECKED"])
            for service in names.services { table.append([service.name, "\(service.healthy)", "\(service.checked)"]) }
            return Array(table.text.utf8)
        case .protobuf: throw UnsupportedFormat(format: format)
        }
    }

    package static func list(
        _ listing: ServiceListing, json: [UInt8], _ format: OutputFormat
    ) throws(UnsupportedFormat) -> [UInt8] {
        switch format {
        case .simple: return Array(listing.instances.map { line($0) + "\n" }.joined().utf8)
        case .json: return json
        case .fields:
            return Array(("\"Revision\" : \(listing.revision)\n" + listing.instances.map(fields).joined()).utf8)
        case .table:
            var table = TextTable(["ID", "ADDRESS", "STATUS", "TAGS", "WEIGHT"])
            for instance in listing.instances {
                table.append(
                    [
                        instance.id, instance.place, instance.status, instance.tags.joined(separator: ","),
                        "\(instance.weight)",
                    ])
            }
            return Array(table.text.utf8)
        case .protobuf: throw UnsupportedFormat(format: format)
        }
    }

    package static func registered(
        _ instance: ServiceInstanceListing, json: [UInt8], _ format: OutputFormat
    ) throws(UnsupportedFormat) -> [UInt8] {
        switch format {
        case .simple:
            var text = "registered \(instance.service)/\(instance.id) at \(instance.place)"
            if let lease = instance.leaseID { text += ", lease \(LeaseOutput.id(lease))" }
            if let ttl = instance.ttl { text += ", TTL \(ttl)s" }
            if instance.leaseID == nil { text += ", listed once its check passes" }
            return Array((text + "\n").utf8)
        case .json: return json
        case .fields: return Array(fields(instance).utf8)
        case .table, .protobuf: throw UnsupportedFormat(format: format)
        }
    }

    package static func deregistered(
        _ service: String, _ id: String, json: [UInt8], _ format: OutputFormat
    ) throws(UnsupportedFormat) -> [UInt8] {
        switch format {
        case .simple: return Array("deregistered \(service)/\(id)\n".utf8)
        case .json: return json
        case .fields: return Array("\"Service\" : \(GoText.quoted(service))\n\"ID\" : \(GoText.quoted(id))\n".utf8)
        case .table, .protobuf: throw UnsupportedFormat(format: format)
        }
    }

    package static func event(_ event: ServiceEvent, _ format: OutputFormat) throws(UnsupportedFormat) -> [UInt8] {
        switch format {
        case .simple: return Array("\(event.kind.rawValue.uppercased())\t\(line(event.instance))\n".utf8)
        case .json:
            let instance = event.instance
            let object = JSONObject.make { object in
                object.string("event", event.kind.rawValue)
                object.object(
                    "instance",
                    .make {
                        $0.string("service", instance.service)
                        $0.string("id", instance.id)
                        $0.string("address", instance.address)
                        $0.always("port", instance.port)
                        $0.raw("tags", "[" + instance.tags.map(GoText.json).joined(separator: ",") + "]")
                        $0.always("weight", instance.weight)
                        let meta = instance.meta.sorted { $0.key < $1.key }
                        $0.raw(
                            "meta",
                            "{" + meta.map { GoText.json($0.key) + ":" + GoText.json($0.value) }.joined(separator: ",")
                                + "}")
                        $0.string("status", instance.status)
                        if let lease = instance.lease { $0.string("lease", lease) }
                    })
            }
            return KeyValueOutput.line(object)
        case .fields:
            return Array(("\"Event\" : \(GoText.quoted(event.kind.rawValue))\n" + fields(event.instance)).utf8)
        case .table, .protobuf: throw UnsupportedFormat(format: format)
        }
    }

    private static func line(_ instance: ServiceInstanceListing) -> String {
        [
            "\(instance.service)/\(instance.id)", instance.place, instance.status,
            instance.tags.joined(separator: ","),
        ].filter { !$0.isEmpty }.joined(separator: "\t")
    }

    private static func fields(_ instance: ServiceInstanceListing) -> String {
        var text = "\"Service\" : \(GoText.quoted(instance.service))\n\"ID\" : \(GoText.quoted(instance.id))\n"
        text += "\"Address\" : \(GoText.quoted(instance.address))\n\"Port\" : \(instance.port)\n"
        text += "\"Tags\" : \(GoText.quoted(instance.tags.joined(separator: ",")))\n\"Weight\" : \(instance.weight)\n"
        text += "\"Status\" : \(GoText.quoted(instance.status))\n"
        if let lease = instance.leaseID { text += "\"Lease\" : \(lease)\n" }
        if let ttl = instance.ttl { text += "\"TTL\" : \(ttl)\n" }
        return text
    }
}
