package dht

import "fmt"

// Error is what every failed call answers. Compare it by errors.Is with ErrNotFound and the others.
type Error struct {
	// Code is the number of the error, the same in every language.
	Code int
	// MaybeApplied is true where the outcome is unknown; false means that nothing was changed.
	MaybeApplied bool

	text  string
	cause error
}

// Error begins with the name of the error.
func (e *Error) Error() string { return e.text }

// Unwrap is what ended the call from outside, such as context.Canceled.
func (e *Error) Unwrap() error { return e.cause }

// Is tells whether target is the value for this number.
func (e *Error) Is(target error) bool {
	kind, ok := target.(kind)
	return ok && int(kind) == e.Code
}

// A kind is what errors.Is compares with.
type kind int

func (k kind) Error() string {
	if name, ok := names[k]; ok {
		return "dht: " + name
	}
	return fmt.Sprintf("dht: error %d", int(k))
}

// What errors.Is tells apart.
const (
	ErrNotFound         = kind(1)  // there is no such key
	ErrInvalidArgument  = kind(2)  // an argument is outside what the operation takes
	ErrConfig           = kind(3)  // the configuration is wrong; the text names key, value and bound
	ErrNotStarted       = kind(4)  // call Start first
	ErrStopped          = kind(5)  // the node was stopped, has left or was closed; make a new one
	ErrNotJoined        = kind(6)  // the node did not get into a ring within the deadline; it keeps trying
	ErrTimeout          = kind(7)  // the deadline passed
	ErrQuorum           = kind(8)  // fewer replicas answered than the level needs
	ErrOverloaded       = kind(9)  // a queue is full; send less at once
	ErrIncompatibleRing = kind(10) // the ring has other parameters; the text says both values
	ErrRingFull         = kind(11) // no position is left for this node, or the ring has MaxTableNodes; the text says which
	ErrTooLarge         = kind(12) // key or value is longer than MaxKeySize or MaxValueSize
	ErrInvalidValue     = kind(13) // the value has no JSON form
	ErrWrongFormat      = kind(14) // the stored value has another format or type than the one asked for
	ErrAddress          = kind(15) // an address cannot be bound or resolved
	ErrUnreachable      = kind(16) // no peer answered at the address
	ErrInsecure         = kind(17) // the node would be open to anyone who reaches its port
	ErrAuth             = kind(18) // a peer does not prove that it belongs to the ring, or this node does not to it
	ErrMemoryFull       = kind(19) // MaxMemory is used up
	ErrStorage          = kind(20) // the disk failed or is full
	ErrClockSkew        = kind(21) // clocks differ by more than MaxClockOffset; the text says both
	ErrUnsupported      = kind(22) // this release, or the peer's, does not have the feature
	ErrForked           = kind(23) // the process was forked; Go programs do not see it
	ErrCancelled        = kind(24) // the context was cancelled
	ErrReentrant        = kind(25) // a blocking call from inside a callback of the library
	ErrNodeIDInUse      = kind(26) // a live node has this NodeID
	ErrInternal         = kind(27) // a defect of this library; report it with its text
)

var names = map[kind]string{
	1:  "NOT_FOUND",
	2:  "INVALID_ARGUMENT",
	3:  "CONFIG",
	4:  "NOT_STARTED",
	5:  "STOPPED",
	6:  "NOT_JOINED",
	7:  "TIMEOUT",
	8:  "QUORUM",
	9:  "OVERLOADED",
	10: "INCOMPATIBLE_RING",
	11: "RING_FULL",
	12: "TOO_LARGE",
	13: "INVALID_VALUE",
	14: "WRONG_FORMAT",
	15: "ADDRESS",
	16: "UNREACHABLE",
	17: "INSECURE",
	18: "AUTH",
	19: "MEMORY_FULL",
	20: "STORAGE",
	21: "CLOCK_SKEW",
	22: "UNSUPPORTED",
	23: "FORKED",
	24: "CANCELLED",
	25: "REENTRANT",
	26: "NODE_ID_IN_USE",
	27: "INTERNAL",
}

func newError(kind kind, text string, maybeApplied bool) *Error {
	return &Error{Code: int(kind), MaybeApplied: maybeApplied, text: names[kind] + ": " + text}
}
