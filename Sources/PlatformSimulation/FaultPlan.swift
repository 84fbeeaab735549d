/// What goes wrong with a ``SimulatedDisk``, and when. Counting starts when the plan is set.
package struct FaultPlan: Sendable {
    package enum Operation: Sendable, Equatable {
        case read
        /// `write` and `fill`.
        case write
        case synchronize
        case synchronizeDirectory
        /// A file, opened with `create`.
        case create
        case rename
        case remove
    }

    /// One call that fails.
    package struct Fault: Sendable {
        package var operation: Operation
        /// 1 is the next call of its kind.
        package var occurrence: Int
        package var errno: Int32
        /// Only calls for paths that end so are counted and fail; empty for all.
        package var pathSuffix: String

        package init(
            _ operation: Operation, occurrence: Int = 1, errno: Int32 = SimulatedErrno.io, pathSuffix: String = ""
        ) {
            self.operation = operation
            self.occurrence = occurrence
            self.errno = errno
            self.pathSuffix = pathSuffix
        }
    }

    package var faults: [Fault]
    /// The power goes after so many changing calls: every later call fails until ``SimulatedDisk/crash()``.
    package var powerCutAfter: Int?
    /// How many bytes all files together may hold; beyond it a write fails with ENOSPC, as much as fits having been
    /// written.
    package var capacityBytes: Int?

    package init(faults: [Fault] = [], powerCutAfter: Int? = nil, capacityBytes: Int? = nil) {
        self.faults = faults
        self.powerCutAfter = powerCutAfter
        self.capacityBytes = capacityBytes
    }
}

/// Linux's numbers, named here so that a simulation gives the same errors on every system.
package enum SimulatedErrno {
    package static let noEntry: Int32 = 2
    package static let io: Int32 = 5
    package static let badDescriptor: Int32 = 9
    package static let exists: Int32 = 17
    package static let notDirectory: Int32 = 20
    package static let isDirectory: Int32 = 21
    package static let invalid: Int32 = 22
    package static let noSpace: Int32 = 28
    package static let readOnly: Int32 = 30

    static func reason(_ errno: Int32) -> String {
        switch errno {
        case noEntry: "No such file or directory"
        case io: "Input/output error"
        case badDescriptor: "Bad file descriptor"
        case exists: "File exists"
        case notDirectory: "Not a directory"
        case isDirectory: "Is a directory"
        case invalid: "Invalid argument"
        case noSpace: "No space left on device"
        case readOnly: "Read-only file system"
        default: "Error \(errno)"
        }
    }
}

/// What a power cut does to writes that were not synchronized.
package struct CrashModel: Sendable {
    /// A sector is written as a whole or not at all.
    package var sectorBytes = 512
    /// Harsher than disks promise: a torn write may also end inside a sector.
    package var tearsWithinSectors = false

    package init(sectorBytes: Int = 512, tearsWithinSectors: Bool = false) {
        self.sectorBytes = sectorBytes
        self.tearsWithinSectors = tearsWithinSectors
    }
}
