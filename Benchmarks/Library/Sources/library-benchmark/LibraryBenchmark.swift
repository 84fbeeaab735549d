import CSupport
import Glibc

/// Proposals a second through the product `Raft`, and what each costs. See Benchmarks/README.md.
@main
struct LibraryBenchmark {
    static func main() async {
        flush_output_by_line()
        let arguments: Arguments
        do {
            arguments = try Arguments(Array(CommandLine.arguments.dropFirst()))
        } catch {
            print("library-benchmark: \(error)\n\(Arguments.usage)")
            exit(2)
        }
        do {
            try await run(arguments)
        } catch {
            print("library-benchmark: \(error)")
            exit(1)
        }
    }

    private static func run(_ arguments: Arguments) async throws {
        if arguments.isList { return print(Shape.all.map(\.name).joined(separator: "\n")) }
        // Of this process's own, so that two runs do not meet.
        let directory = "\(arguments.directory)/\(getpid())"
        try Files.makeEmpty(directory)
        defer { try? Files.remove(directory) }
        guard !is_in_memory(directory) else {
            throw Problem("\(arguments.directory) is in memory: give a --directory on a disk")
        }
        if let cycles = arguments.cycles { return try await Cycles.run(cycles, directory: directory) }

        let sync = try Files.syncMicroseconds(in: directory)
        var report = Report(payloadBytes: arguments.payloadBytes, syncMicroseconds: sync)
        print(Report.header)
        if arguments.sites != nil { allocation_sites_sample(31) }
        for shape in arguments.shapes {
            let figures = try await measure(shape, arguments, directory)
            print(report.add(shape, figures))
        }
        if let path = arguments.sites {
            allocation_sites_sample(0)
            guard let file = fopen(path, "w") else { throw Problem("cannot write \(path): errno \(errno)") }
            allocation_sites_write(file)
            fclose(file)
        }
        if let path = arguments.json { try Files.write(report.json, to: path) }
    }

    /// Again, if the leader was lost meanwhile: on a busy machine a member may have to wait for longer than the
    /// election timeout.
    private static func measure(_ shape: Shape, _ arguments: Arguments, _ directory: String) async throws -> Figures {
        var tries = 0
        while true {
            do {
                let cluster = try await Cluster(shape, directory: directory)
                let figures: Figures
                do {
                    figures = try await Load.measure(
                        shape, on: cluster, arguments.window, payloadBytes: arguments.payloadBytes)
                } catch {
                    try await cluster.stop()
                    throw error
                }
                try await cluster.stop()
                return figures
            } catch {
                tries += 1
                guard tries < 3 else { throw Problem("\(shape.name): \(error)") }
            }
        }
    }
}
