#if MARTLET_MUTATIONS
    import Foundation
    import Synchronization

    /// In how many seeds each of the mistakes is found. A play is a process of its own: the code's own assertions are
    /// among what finds mistakes, and they end the process.
    struct MistakeSurvey {
        var first: UInt64
        var count: UInt64
        var jobs: Int
        /// A mistake that none of the seeds finds is looked for in so many times as many, until one does.
        private static let perseverance: UInt64 = 20

        private struct Finding {
            var seed: UInt64
            var text: String
        }

        /// - Returns: whether each was found.
        func run(_ names: [String]) -> Bool {
            print("| mistake | found in | first seed | found there as | seconds |")
            print("|---|---|---|---|---|")
            var isComplete = true
            for name in names {
                let clock = ContinuousClock()
                let start = clock.now
                var played = count
                var findings = play(name, first..<first + count, stopsAtFirst: false)
                if findings.isEmpty {
                    played = count * Self.perseverance
                    findings = play(name, first + count..<first + played, stopsAtFirst: true)
                }
                let seconds = (clock.now - start).components.seconds
                guard let finding = findings.min(by: { $0.seed < $1.seed }) else {
                    isComplete = false
                    print("| `\(name)` | none of \(played) | | | \(seconds) |")
                    continue
                }
                let share =
                    played == count
                    ? "\(findings.count) of \(count)" : "1 of \(finding.seed - first + 1), the first"
                print("| `\(name)` | \(share) | \(finding.seed) | \(finding.text) | \(seconds) |")
                fflush(nil)
            }
            return isComplete
        }

        private func play(_ name: String, _ seeds: Range<UInt64>, stopsAtFirst: Bool) -> [Finding] {
            let next = Atomic<UInt64>(seeds.lowerBound)
            let findings = Mutex<[Finding]>([])
            DispatchQueue.concurrentPerform(iterations: jobs) { _ in
                while true {
                    let seed = next.add(1, ordering: .relaxed).oldValue
                    guard seed < seeds.upperBound else { return }
                    if stopsAtFirst, findings.withLock({ !$0.isEmpty }) { return }
                    if let text = play(name, seed) {
                        findings.withLock { $0.append(Finding(seed: seed, text: text)) }
                    }
                }
            }
            return findings.withLock { $0 }
        }

        /// What a seed finds; nil if nothing.
        private func play(_ name: String, _ seed: UInt64) -> String? {
            let process = Process()
            let output = Pipe()
            process.executableURL = Bundle.main.executableURL
            process.arguments = [
                "--mutation", name, "--seed", "\(seed)", "--seeds", "1", "--jobs", "1", "--no-shortening",
            ]
            process.environment = ["SWIFT_BACKTRACE": "enable=no"]
            process.standardOutput = output
            process.standardError = output
            do { try process.run() } catch { return nil }
            let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            process.waitUntilExit()
            if process.terminationReason == .uncaughtSignal {
                // Optimised code does not say which.
                return "an assertion of the code itself"
            }
            guard process.terminationStatus == 1 else { return nil }
            let line = text.split(separator: "\n").first { $0.contains("FAILED") } ?? ""
            return short(String(line.split(separator: " ms: ").last ?? line))
        }

        private func short(_ text: String) -> String {
            let plain = text.replacingOccurrences(of: "|", with: "/")
            return plain.count <= 90 ? plain : plain.prefix(87) + "..."
        }
    }
#endif
