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
	ErrNotFound         = kind(1)
	ErrInvalidArgument  = kind(2)
	ErrConfig           = kind(3)
	ErrNotStarted       = kind(4)
	ErrStopped          = kind(5)
	ErrNotJoined        = kind(6)
	ErrTimeout          = kind(7)
	ErrQuorum           = kind(8)
	ErrOverloaded       = kind(9)
	ErrIncompatibleRing = kind(10)
	ErrRingFull         = kind(11)
	ErrTooLarge         = kind(12)
	ErrInvalidValue     = kind(13)
	ErrWrongFormat      = kind(14)
	ErrAddress          = kind(15)
	ErrUnreachable      = kind(16)
	ErrInsecure         = kind(17)
	ErrAuth             = kind(18)
	ErrMemoryFull       = kind(19)
	ErrStorage          = kind(20)
	ErrClockSkew        = kind(21)
	ErrUnsupported      = kind(22)
	ErrForked           = kind(23)
	ErrCancelled        = kind(24)
	ErrReentrant        = kind(25)
	ErrNodeIDInUse      = kind(26)
	ErrInternal         = kind(27)
)

const (
	codeInvalidArgument = int(ErrInvalidArgument)
	codeConfig          = int(ErrConfig)
	codeTimeout         = int(ErrTimeout)
	codeInvalidValue    = int(ErrInvalidValue)
	codeWrongFormat     = int(ErrWrongFormat)
	codeCancelled       = int(ErrCancelled)
	codeInternal        = int(ErrInternal)
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

func newError(code int, text string, maybeApplied bool) *Error {
	return &Error{Code: code, MaybeApplied: maybeApplied, text: text}
}
