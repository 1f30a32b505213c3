package main

import (
	"math"
	"strings"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/msgpack"
)

// vector is a value, and the type that a schema gives it.
type vector struct {
	value cty.Value
	ty    cty.Type
}

func vectors() []vector {
	var all []vector
	add := func(ty cty.Type, values ...cty.Value) {
		for _, value := range values {
			all = append(all, vector{value, ty})
		}
	}

	bools := []cty.Value{cty.True, cty.False}
	unknown := map[cty.Type][]cty.Value{
		cty.String: unknownStrings(), cty.Number: unknownNumbers(), cty.Bool: unknownOf(cty.Bool),
	}
	for _, primitive := range []struct {
		ty     cty.Type
		values []cty.Value
	}{{cty.String, stringValues()}, {cty.Number, numberValues()}, {cty.Bool, bools}} {
		ty := primitive.ty
		values := append(primitive.values, unknown[ty]...)
		values = append(values, cty.NullVal(ty))
		add(ty, values...)
		for _, value := range values {
			addAround(add, value)
		}
		add(cty.Set(ty), received(cty.SetVal(values)))
		add(cty.List(ty), cty.ListVal(values))
		add(cty.Tuple([]cty.Type{ty, ty}), cty.TupleVal([]cty.Value{values[0], values[1]}))
	}

	for _, ty := range []cty.Type{
		cty.List(cty.String), cty.Set(cty.Number), cty.Map(cty.Bool), cty.List(cty.List(cty.String)),
		cty.EmptyTuple, cty.EmptyObject, cty.Map(cty.EmptyObject), cty.Set(cty.List(cty.Bool)),
		cty.Object(map[string]cty.Type{"a": cty.String, "b": cty.List(cty.Number)}),
		cty.List(cty.DynamicPseudoType), cty.Map(cty.DynamicPseudoType),
	} {
		add(ty, cty.NullVal(ty), cty.UnknownVal(ty), cty.UnknownVal(ty).RefineNotNull())
		if !ty.HasDynamicTypes() {
			addAround(add, cty.NullVal(ty))
			addAround(add, cty.UnknownVal(ty).RefineNotNull())
		}
		if ty.IsCollectionType() {
			add(ty, unknownCollections(ty)...)
		}
	}
	add(cty.List(cty.String), cty.ListValEmpty(cty.String))
	add(cty.Set(cty.String), cty.SetValEmpty(cty.String))
	add(cty.Map(cty.String), cty.MapValEmpty(cty.String))
	add(cty.EmptyTuple, cty.EmptyTupleVal)
	add(cty.EmptyObject, cty.EmptyObjectVal)

	for _, length := range []int{65535, 65536} {
		add(cty.String, cty.StringVal(strings.Repeat("y", length)))
	}

	add(cty.DynamicPseudoType, cty.DynamicVal, cty.NullVal(cty.DynamicPseudoType))
	add(cty.List(cty.DynamicPseudoType), cty.ListVal([]cty.Value{cty.DynamicVal}))
	add(cty.DynamicPseudoType, cty.ObjectVal(map[string]cty.Value{
		"<&>": cty.True, "\u2028": cty.NullVal(cty.DynamicPseudoType), "\"\\\n": cty.DynamicVal,
	}))
	many, wide := lengths()
	add(cty.List(cty.Number), many...)
	add(cty.Map(cty.Number), wide...)
	addObjects(add)
	return all
}

// received is the value as whoever is sent it has it: some floats become other numbers on the
// way, so that two elements of a set may become one.
func received(value cty.Value) cty.Value {
	encoded, err := msgpack.Marshal(value, value.Type())
	if err != nil {
		panic(err)
	}
	value, err = msgpack.Unmarshal(encoded, value.Type())
	if err != nil {
		panic(err)
	}
	return value
}

// addAround adds the value inside everything that may have a value inside.
func addAround(add func(cty.Type, ...cty.Value), value cty.Value) {
	ty := value.Type()
	list := cty.ListVal([]cty.Value{value, value})
	set := cty.SetVal([]cty.Value{value, value})
	object := cty.ObjectVal(map[string]cty.Value{"only": value, "Z": cty.NullVal(ty)})
	add(cty.List(ty), list)
	add(cty.Set(ty), set)
	add(cty.Map(ty), cty.MapVal(map[string]cty.Value{"": value, "käse": value, "a": value}))
	add(object.Type(), object)
	add(cty.Tuple([]cty.Type{ty, cty.String}), cty.TupleVal([]cty.Value{value, cty.StringVal("")}))
	add(cty.DynamicPseudoType, value, list, set, object, cty.TupleVal([]cty.Value{object, list}))
	add(cty.List(cty.DynamicPseudoType), list)
	open := map[string]cty.Type{"only": cty.DynamicPseudoType, "Z": cty.DynamicPseudoType}
	add(cty.Object(open), object)
	add(cty.Set(object.Type()), cty.SetVal([]cty.Value{object, object}))
}

// addObjects adds sets of objects, and objects that are deep.
func addObjects(add func(cty.Type, ...cty.Value)) {
	person := func(name string, age int64, tags ...cty.Value) cty.Value {
		set := cty.SetValEmpty(cty.String)
		if len(tags) > 0 {
			set = cty.SetVal(tags)
		}
		return cty.ObjectVal(map[string]cty.Value{
			"name": cty.StringVal(name), "age": cty.NumberIntVal(age), "tags": set,
		})
	}
	people := cty.SetVal([]cty.Value{
		person("Zoë", 9), person("Al", 10, cty.StringVal("b"), cty.StringVal("a")),
		person("Al", 9), person("Zoë", 9), person("", -1, cty.UnknownVal(cty.String)),
	})
	add(people.Type(), people)
	add(cty.DynamicPseudoType, people)
	deep := cty.StringVal("bottom")
	for range 40 {
		deep = cty.ListVal([]cty.Value{deep})
	}
	add(deep.Type(), deep)
	add(cty.DynamicPseudoType, deep)
}

func stringValues() []cty.Value {
	var values []cty.Value
	for _, text := range []string{
		"", "a", "hello", "true", "5", "null", "\x00\x1f\x7f", "\"quoted\" \\ / <&>",
		"line\nbreak\ttab", "grüße", "e\u0301", "\u00e9", "日本語", "🏳️‍🌈", "\u2028\u2029", "\ufeff",
		"\U0010ffff", "\u1100\u1161\u11a8", "\u0344", "\u2126", "q\u0323\u0307", "q\u0307\u0323",
		strings.Repeat("x", 31), strings.Repeat("x", 32), strings.Repeat("x", 255),
		strings.Repeat("x", 256), "a" + strings.Repeat("\u0301", 40), strings.Repeat("\u0301", 70),
		"a" + strings.Repeat("\u0323\u0301", 40), "a" + strings.Repeat("\u0301", 30) + "b",
	} {
		values = append(values, cty.StringVal(text))
	}
	return values
}

func numberValues() []cty.Value {
	var values []cty.Value
	for _, integer := range []int64{
		0, 1, -1, 5, 127, 128, 255, 256, 65535, 65536, -32, -33, -128, -129, -32768, -32769,
		math.MaxInt32, math.MinInt32, math.MaxUint32, math.MaxUint32 + 1, math.MaxInt64, math.MinInt64,
		1 << 53, 1<<53 + 1,
	} {
		values = append(values, cty.NumberIntVal(integer))
	}
	values = append(values, cty.NumberUIntVal(1<<63), cty.NumberUIntVal(math.MaxUint64))
	for _, float := range []float64{
		0.5, 0.1, 1.5, -2.25, 1e15 + 0.5, 1e-7, 1e300, -1e300, 1 << 63, 1 << 64, 1e22, 1e23,
		math.MaxFloat64, math.SmallestNonzeroFloat64, 2.2250738585072014e-308, math.Pi,
		math.Copysign(0, -1), math.Inf(1), math.Inf(-1),
	} {
		values = append(values, cty.NumberFloatVal(float))
	}
	for _, text := range []string{
		"0.1", "0.5", "-0", "-0.0", "1e300", "1e-300", "1e400", "-1e-400", "3.14159265358979323846",
		"9223372036854775807", "9223372036854775808", "-9223372036854775808",
		"-9223372036854775809", "18446744073709551615", "18446744073709551616", "1e18", "1e19",
		"123456789012345678901234567890.123456789", "100", "1.50", ".5", "5.", "0012", "+3",
		"0.1000000000000000055511151231257827021181583404541015625", "0.8", "1e5",
		strings.Repeat("9", 100), "-0." + strings.Repeat("3", 100), "0.000001", "1E2", "1e-2",
		"Inf", "-Inf",
	} {
		values = append(values, cty.MustParseNumberVal(text))
	}
	return values
}

func unknownOf(ty cty.Type) []cty.Value {
	return []cty.Value{cty.UnknownVal(ty), cty.UnknownVal(ty).RefineNotNull()}
}

func unknownStrings() []cty.Value {
	values := unknownOf(cty.String)
	for _, prefix := range []string{"foo-", "grüße-", strings.Repeat("p", 255) + "-", strings.Repeat("q", 1024)} {
		values = append(values,
			cty.UnknownVal(cty.String).Refine().StringPrefix(prefix).NewValue(),
			cty.UnknownVal(cty.String).Refine().NotNull().StringPrefixFull(prefix).NewValue(),
		)
	}
	return values
}

func unknownNumbers() []cty.Value {
	values := unknownOf(cty.Number)
	for _, text := range []string{"0", "-1", "0.5", "0.1", "1e30", strings.Repeat("7", 100)} {
		bound := cty.MustParseNumberVal(text)
		above := bound.Add(cty.NumberIntVal(2))
		for _, inclusive := range []bool{true, false} {
			refine := func() *cty.RefinementBuilder { return cty.UnknownVal(cty.Number).Refine() }
			values = append(values,
				refine().NumberRangeLowerBound(bound, inclusive).NewValue(),
				refine().NumberRangeUpperBound(bound, inclusive).NewValue(),
				refine().NotNull().NumberRangeLowerBound(bound, inclusive).
					NumberRangeUpperBound(above, !inclusive).NewValue(),
			)
		}
	}
	return values
}

func unknownCollections(ty cty.Type) []cty.Value {
	refine := func() *cty.RefinementBuilder { return cty.UnknownVal(ty).Refine() }
	return []cty.Value{
		refine().CollectionLengthLowerBound(1).NewValue(),
		refine().CollectionLengthUpperBound(300).NewValue(),
		refine().NotNull().CollectionLengthLowerBound(2).CollectionLengthUpperBound(70000).NewValue(),
	}
}

// lengths has lists and maps around the lengths where their heads grow.
func lengths() (lists, maps []cty.Value) {
	for _, length := range []int{15, 16, 17, 65535, 65536} {
		elements := make([]cty.Value, length)
		for at := range elements {
			elements[at] = cty.NumberIntVal(int64(at % 100))
		}
		lists = append(lists, cty.ListVal(elements))
	}
	for _, length := range []int{15, 16, 17, 300} {
		elements := map[string]cty.Value{}
		for at := range length {
			elements[strings.Repeat("k", at+1)] = cty.NumberIntVal(int64(at))
		}
		maps = append(maps, cty.MapVal(elements))
	}
	return lists, maps
}
