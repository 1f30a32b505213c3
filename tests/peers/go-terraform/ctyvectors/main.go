// Command ctyvectors shows what go-cty makes of values, in msgpack and in JSON.
//
//	ctyvectors vectors  prints a list of values, a line each
//	ctyvectors recode   reads a value a line, and prints it as go-cty encodes it
package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strconv"

	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"
	"github.com/zclconf/go-cty/cty/msgpack"
)

// line is a value and its encodings. In what is read, one encoding is enough.
type line struct {
	// Type is the text of the type in JSON.
	Type string `json:"type,omitempty"`
	// Value is for people, as Go writes it.
	Value   string `json:"value,omitempty"`
	Msgpack string `json:"msgpack,omitempty"`
	// JSON is the text of the value in JSON; absent if something in it is unknown.
	JSON string `json:"json,omitempty"`
	// FromJSON is what that text is in msgpack, once it was read again; absent if a reader
	// of floats would not see the same digits.
	FromJSON string `json:"from_json,omitempty"`
	// Error is why it cannot be encoded or decoded. All else is absent then.
	Error string `json:"error,omitempty"`
}

func main() {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	lines := json.NewEncoder(out)
	switch {
	case len(os.Args) == 2 && os.Args[1] == "vectors":
		for _, vector := range vectors() {
			lines.Encode(describe(vector.value, vector.ty))
		}
	case len(os.Args) == 2 && os.Args[1] == "recode":
		in := json.NewDecoder(os.Stdin)
		for in.More() {
			var asked line
			if err := in.Decode(&asked); err != nil {
				fmt.Fprintln(os.Stderr, "ctyvectors:", err)
				os.Exit(1)
			}
			lines.Encode(recode(asked))
		}
	default:
		fmt.Fprintln(os.Stderr, "usage: ctyvectors vectors|recode")
		os.Exit(2)
	}
}

// recode decodes a value and describes it.
func recode(asked line) (said line) {
	// go-cty panics at some values that nobody should send.
	defer func() {
		if cause := recover(); cause != nil {
			said = line{Error: fmt.Sprint("panic: ", cause)}
		}
	}()
	ty, err := ctyjson.UnmarshalType([]byte(asked.Type))
	if err != nil {
		return line{Error: err.Error()}
	}
	var value cty.Value
	if asked.JSON != "" {
		value, err = ctyjson.Unmarshal([]byte(asked.JSON), ty)
	} else {
		var encoded []byte
		if encoded, err = hex.DecodeString(asked.Msgpack); err == nil {
			value, err = msgpack.Unmarshal(encoded, ty)
		}
	}
	if err != nil {
		return line{Error: err.Error()}
	}
	return describe(value, ty)
}

func describe(value cty.Value, ty cty.Type) line {
	typeJSON, err := ctyjson.MarshalType(ty)
	if err != nil {
		return line{Error: err.Error()}
	}
	said := line{Type: string(typeJSON), Value: fmt.Sprintf("%#v", value)}
	encoded, err := msgpack.Marshal(value, ty)
	if err != nil {
		return line{Error: err.Error()}
	}
	said.Msgpack = hex.EncodeToString(encoded)
	text, err := ctyjson.Marshal(value, ty)
	if err != nil {
		return said
	}
	said.JSON = string(text)
	if again, err := ctyjson.Unmarshal(text, ty); err == nil && fitsFloats(value) {
		if encoded, err := msgpack.Marshal(again, ty); err == nil {
			said.FromJSON = hex.EncodeToString(encoded)
		}
	}
	return said
}

// fitsFloats says whether every number is an int64, or prints as its nearest float does.
func fitsFloats(value cty.Value) bool {
	fits := true
	cty.Walk(value, func(_ cty.Path, value cty.Value) (bool, error) {
		if value.Type() == cty.Number && value.IsKnown() && !value.IsNull() {
			text := value.AsBigFloat().Text('f', -1)
			_, err := strconv.ParseInt(text, 10, 64)
			float, _ := strconv.ParseFloat(text, 64)
			fits = fits && (err == nil || strconv.FormatFloat(float, 'f', -1, 64) == text)
		}
		return true, nil
	})
	return fits
}
