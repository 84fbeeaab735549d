package import EtcdAPI

/// What `endpoint status|health|hashkv` and `member list` print, in etcdctl's formats.
package enum ClusterOutput {
    /// How one endpoint answered.
    package struct Status: Sendable {
        package let endpoint: String
        package let response: Etcdserverpb_StatusResponse

        package init(endpoint: String, response: Etcdserverpb_StatusResponse) {
            self.endpoint = endpoint
            self.response = response
        }
    }

    package struct Health: Sendable {
        package let endpoint: String
        package let took: Duration
        /// Nil: it is healthy.
        package let error: String?

        package init(endpoint: String, took: Duration, error: String?) {
            self.endpoint = endpoint
            self.took = took
            self.error = error
        }
    }

    package struct HashKV: Sendable {
        package let endpoint: String
        package let response: Etcdserverpb_HashKVResponse

        package init(endpoint: String, response: Etcdserverpb_HashKVResponse) {
            self.endpoint = endpoint
            self.response = response
        }
    }

    // MARK: endpoint status

    package static func status(_ statuses: [Status], _ format: OutputFormat) throws(UnsupportedFormat) -> String {
        switch format {
        case .simple: return statuses.map { row($0).joined(separator: ", ") + "\n" }.joined()
        case .table:
            var table = TextTable([
                "ENDPOINT", "ID", "VERSION", "DB SIZE", "IS LEADER", "IS LEARNER", "RAFT TERM", "RAFT INDEX",
                "RAFT APPLIED INDEX", "ERRORS",
            ])
            for status in statuses { table.append(row(status)) }
            return table.text
        case .json:
            return JSONObject.array(
                statuses.map { status in
                    .make {
                        $0.raw("Endpoint", GoText.json(status.endpoint))
                        $0.object("Status", json(status.response))
                    }
                }) + "\n"
        case .fields: return statuses.map(fields).joined()
        case .protobuf: throw UnsupportedFormat(format: format)
        }
    }

    private static func row(_ status: Status) -> [String] {
        let response = status.response
        return [
            status.endpoint, GoText.hex(response.header.memberID), response.version, GoText.byteCount(response.dbSize),
            "\(isLeader(response))", "\(response.isLearner)", "\(response.raftTerm)", "\(response.raftIndex)",
            "\(response.raftAppliedIndex)", response.errors.joined(separator: ", "),
        ]
    }

    private static func isLeader(_ response: Etcdserverpb_StatusResponse) -> Bool {
        response.leader == response.header.memberID
    }

    private static func json(_ response: Etcdserverpb_StatusResponse) -> JSONObject {
        .make {
            $0.object("header", header(response.hasHeader ? response.header : nil))
            $0.string("version", response.version)
            $0.number("dbSize", response.dbSize)
            $0.number("leader", response.leader)
            $0.number("raftIndex", response.raftIndex)
            $0.number("raftTerm", response.raftTerm)
            $0.number("raftAppliedIndex", response.raftAppliedIndex)
            $0.strings("errors", response.errors)
            $0.number("dbSizeInUse", response.dbSizeInUse)
            $0.bool("isLearner", response.isLearner)
            $0.string("storageVersion", response.storageVersion)
            $0.number("dbSizeQuota", response.dbSizeQuota)
            if response.hasDowngradeInfo {
                let info = response.downgradeInfo
                $0.object(
                    "downgradeInfo",
                    .make {
                        $0.bool("enabled", info.enabled)
                        $0.string("targetVersion", info.targetVersion)
                    })
            }
        }
    }

    private static func fields(_ status: Status) -> String {
        let response = status.response
        return fields(response.header) + """
            "Version" : \(GoText.quoted(response.version))
            "DBSize" : \(response.dbSize)
            "Leader" : \(response.leader)
            "IsLearner" : \(response.isLearner)
            "RaftIndex" : \(response.raftIndex)
            "RaftTerm" : \(response.raftTerm)
            "RaftAppliedIndex" : \(response.raftAppliedIndex)
            "Errors" : [\(response.errors.map(GoText.quoted).joined(separator: " "))]
            "Endpoint" : \(GoText.quoted(status.endpoint))


            """
    }

    // MARK: endpoint health

    /// In the simple format, what is not healthy goes to standard error.
    package static func health(
        _ healths: [Health], _ format: OutputFormat
    ) throws(UnsupportedFormat) -> (output: String, errors: String) {
        switch format {
        case .simple:
            var output = ""
            var errors = ""
            for health in healths {
                if let error = health.error {
                    errors += "\(health.endpoint) is unhealthy: failed to commit proposal: \(error)\n"
                } else {
                    let took = GoText.duration(health.took)
                    output += "\(health.endpoint) is healthy: successfully committed proposal: took = \(took)\n"
                }
            }
            return (output, errors)
        case .table:
            var table = TextTable(["ENDPOINT", "HEALTH", "TOOK", "ERROR"])
            for health in healths {
                table.append([
                    health.endpoint, "\(health.error == nil)", GoText.duration(health.took), health.error ?? "",
                ])
            }
            return (table.text, "")
        case .json:
            let objects = healths.map { health in
                JSONObject.make {
                    $0.raw("endpoint", GoText.json(health.endpoint))
                    $0.raw("health", "\(health.error == nil)")
                    $0.raw("took", GoText.json(GoText.duration(health.took)))
                    $0.string("error", health.error ?? "")
                }
            }
            return (JSONObject.array(objects) + "\n", "")
        case .fields:
            let text = healths.map { health in
                """
                "Endpoint" : \(GoText.quoted(health.endpoint))
                "Health" : \(health.error == nil)
                "Took" : \(GoText.duration(health.took))
                "Error" : \(health.error ?? "")


                """
            }
            return (text.joined(), "")
        case .protobuf: throw UnsupportedFormat(format: format)
        }
    }

    // MARK: endpoint hashkv

    package static func hashKV(_ hashes: [HashKV], _ format: OutputFormat) throws(UnsupportedFormat) -> String {
        switch format {
        case .simple: return hashes.map { "\($0.endpoint), \($0.response.hash)\n" }.joined()
        case .table:
            var table = TextTable(["ENDPOINT", "HASH"])
            for hash in hashes { table.append([hash.endpoint, "\(hash.response.hash)"]) }
            return table.text
        case .json:
            return JSONObject.array(
                hashes.map { hash in
                    .make {
                        let response = hash.response
                        $0.raw("Endpoint", GoText.json(hash.endpoint))
                        $0.object(
                            "HashKV",
                            .make {
                                $0.object("header", header(response.hasHeader ? response.header : nil))
                                $0.number("hash", response.hash)
                                $0.number("compact_revision", response.compactRevision)
                                $0.number("hash_revision", response.hashRevision)
                            })
                    }
                }) + "\n"
        case .fields:
            return hashes.map { hash in
                fields(hash.response.header) + """
                    "Endpoint" : \(GoText.quoted(hash.endpoint))
                    "Hash" : \(hash.response.hash)


                    """
            }.joined()
        case .protobuf: throw UnsupportedFormat(format: format)
        }
    }

    // MARK: member list

    package static func memberList(
        _ response: Etcdserverpb_MemberListResponse, _ format: OutputFormat, hex: Bool = false
    ) -> [UInt8] {
        if format == .protobuf { return Protobuf.bytes(response) }
        return Array(memberListText(response, format, hex: hex).utf8)
    }

    private static func memberListText(
        _ response: Etcdserverpb_MemberListResponse, _ format: OutputFormat, hex: Bool
    ) -> String {
        switch format {
        case .protobuf: return ""
        case .simple: return response.members.map { row($0).joined(separator: ", ") + "\n" }.joined()
        case .table:
            var table = TextTable(["ID", "STATUS", "NAME", "PEER ADDRS", "CLIENT ADDRS", "IS LEARNER"])
            for member in response.members { table.append(row(member)) }
            return table.text
        case .json: return (hex ? hexJSON(response) : json(response)).text + "\n"
        case .fields:
            return fields(response.header)
                + response.members.map { member in
                    var text = "\"ID\" : \(member.id)\n\"Name\" : \(GoText.quoted(member.name))\n"
                    for url in member.peerUrls { text += "\"PeerURL\" : \(GoText.quoted(url))\n" }
                    for url in member.clientUrls { text += "\"ClientURL\" : \(GoText.quoted(url))\n" }
                    return text + "\"IsLearner\" : \(member.isLearner)\n\n"
                }.joined()
        }
    }

    private static func row(_ member: Etcdserverpb_Member) -> [String] {
        [
            GoText.hex(member.id), member.name.isEmpty ? "unstarted" : "started", member.name,
            member.peerUrls.joined(separator: ","), member.clientUrls.joined(separator: ","), "\(member.isLearner)",
        ]
    }

    private static func json(_ response: Etcdserverpb_MemberListResponse) -> JSONObject {
        .make {
            $0.object("header", header(response.hasHeader ? response.header : nil))
            $0.objects("members", response.members.map(json))
        }
    }

    static func json(_ member: Etcdserverpb_Member) -> JSONObject {
        .make {
            $0.number("ID", member.id)
            $0.string("name", member.name)
            $0.strings("peerURLs", member.peerUrls)
            $0.strings("clientURLs", member.clientUrls)
            $0.bool("isLearner", member.isLearner)
        }
    }

    /// With `--hex`, ids are hexadecimal texts, and one key is spelt otherwise: etcdctl has a structure of its own
    /// for it.
    private static func hexJSON(_ response: Etcdserverpb_MemberListResponse) -> JSONObject {
        .make {
            $0.object(
                "header",
                .make {
                    $0.raw("cluster_id", "\"\(GoText.hex(response.header.clusterID))\"")
                    $0.raw("member_id", "\"\(GoText.hex(response.header.memberID))\"")
                    $0.number("raft_term", response.header.raftTerm)
                })
            $0.objects(
                "members",
                response.members.map { member in
                    .make {
                        $0.raw("ID", "\"\(GoText.hex(member.id))\"")
                        $0.raw("name", GoText.json(member.name))
                        $0.raw("peerURLs", list(member.peerUrls))
                        $0.raw("clientURLS", list(member.clientUrls))
                    }
                })
        }
    }

    /// As Go has a slice: an empty one that came from the wire is none.
    private static func list(_ texts: [String]) -> String {
        texts.isEmpty ? "null" : "[" + texts.map(GoText.json).joined(separator: ",") + "]"
    }

    // MARK: Pieces

    static func header(_ header: Etcdserverpb_ResponseHeader?) -> JSONObject? {
        KeyValueOutput.json(header.map(WireHeader.init))
    }

    static func fields(_ header: Etcdserverpb_ResponseHeader) -> String {
        KeyValueOutput.fields(WireHeader(header))
    }
}

extension WireHeader {
    init(_ header: Etcdserverpb_ResponseHeader) {
        self.init(
            clusterID: header.clusterID, memberID: header.memberID, revision: header.revision, raftTerm: header.raftTerm
        )
    }
}
