package dht

import (
	"encoding/hex"
	"encoding/json"
)

// Value is a value as it is stored.
type Value struct {
	// Data is the text of the JSON, or the bytes.
	Data []byte
	// IsBytes tells bytes from JSON.
	IsBytes bool
}

// Decode reads the JSON into out, as json.Unmarshal does. Errors: ErrWrongFormat if it is bytes, or not of the type of
// out.
func (v Value) Decode(out any) error {
	if v.IsBytes {
		return newError(ErrWrongFormat, "the value is bytes, not JSON", false)
	}
	return decode(string(v.Data), out)
}

// Versioned is a value with what the ring knows of it.
type Versioned struct {
	Value
	// Version is opaque, and what OfVersion takes; the byte order of versions is the order of writes.
	Version string
	// ExpiresAt is Unix seconds; nil: never.
	ExpiresAt *float64
}

// UnmarshalJSON reads {"version", "expires_at", "format", "value"}.
func (v *Versioned) UnmarshalJSON(text []byte) error {
	var told struct {
		stored
		Version   string
		ExpiresAt *float64 `json:"expires_at"`
	}
	if err := json.Unmarshal(text, &told); err != nil {
		return err
	}
	value, err := told.value()
	if err != nil || value == nil {
		return err
	}
	*v = Versioned{*value, told.Version, told.ExpiresAt}
	return nil
}

// Swap is what became of a compare-and-swap.
type Swap struct {
	// Swapped tells whether the new value was written.
	Swapped bool
	// Version is that of the new value, or of what is there instead; empty if there never was a value.
	Version string
	// Value is what is there instead; nil if the new value is, or if there is none.
	Value *Value
}

// UnmarshalJSON reads {"swapped", "version", "format", "value"}.
func (s *Swap) UnmarshalJSON(text []byte) error {
	var told struct {
		stored
		Swapped bool
		Version string
	}
	if err := json.Unmarshal(text, &told); err != nil {
		return err
	}
	value, err := told.value()
	*s = Swap{told.Swapped, told.Version, value}
	return err
}

// stored is how answers tell a value.
type stored struct {
	Format string
	Value  json.RawMessage
}

func (s stored) value() (*Value, error) {
	switch s.Format {
	case "json":
		return &Value{Data: s.Value}, nil
	case "bytes":
		var digits string
		if err := json.Unmarshal(s.Value, &digits); err != nil {
			return nil, err
		}
		data, err := hex.DecodeString(digits)
		return &Value{Data: data, IsBytes: true}, err
	}
	return nil, nil
}

// Expected is what a compare-and-swap expects to find: Absent, OfVersion or OfValue.
type Expected struct {
	told map[string]any
}

// Absent expects no value: never put, deleted or expired.
func Absent() Expected { return Expected{map[string]any{"absent": true}} }

// OfVersion expects a value of exactly this version, as PutOutcome, Versioned and Swap have it.
func OfVersion(version string) Expected { return Expected{map[string]any{"version": version}} }

// OfValue expects a value whose JSON is the same as that of value, whatever its white space, the order of its members and
// its escapes; numbers are the same only if they are written alike. A Value is expected as it is stored, bytes too.
func OfValue(value any) Expected {
	if stored, ok := value.(Value); ok {
		if stored.IsBytes {
			return Expected{map[string]any{"value": hex.EncodeToString(stored.Data), "format": "bytes"}}
		}
		value = json.RawMessage(stored.Data)
	}
	return Expected{map[string]any{"value": value}}
}

func (e Expected) json() (string, error) {
	if e.told == nil {
		return "", newError(ErrInvalidArgument, "an Expected comes from Absent, OfVersion or OfValue", false)
	}
	return encode(e.told)
}
