package main

import (
	"testing"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgproto3/v2"
	"github.com/jackc/pgtype"
)

type column struct {
	name string
	oid  uint32
}

func answer(columns []column, rows ...[]string) *pgconn.Result {
	result := &pgconn.Result{}
	for _, column := range columns {
		field := pgproto3.FieldDescription{Name: []byte(column.name), DataTypeOID: column.oid}
		result.FieldDescriptions = append(result.FieldDescriptions, field)
	}
	for _, row := range rows {
		values := make([][]byte, len(row))
		for i, text := range row {
			if text != "null" {
				values[i] = []byte(text)
			}
		}
		result.Rows = append(result.Rows, values)
	}
	return result
}

func TestSeries(t *testing.T) {
	epoch := column{"time", pgtype.Float8OID}
	moment := column{"time", pgtype.TimestamptzOID}
	count := column{"rows", pgtype.Int8OID}
	name := column{"metric", pgtype.TextOID}
	for what, c := range map[string]struct {
		result *pgconn.Result
		drawn  bool
	}{
		"numbers":              {answer([]column{epoch, count}, []string{"60", "1"}, []string{"120.5", "null"}), true},
		"no rows":              {answer([]column{epoch, count}), true},
		"not a number":         {answer([]column{epoch, {"x", pgtype.Float8OID}}, []string{"60", "NaN"}), true},
		"times":                {answer([]column{moment, count}, []string{"2026-03-01 00:00:00+00", "1"}, []string{"2026-03-02 00:00:00+00", "1"}), true},
		"names":                {answer([]column{epoch, name, count}, []string{"60", "a", "1"}, []string{"60", "b", "1"}), true},
		"unsorted numbers":     {answer([]column{epoch, count}, []string{"120", "1"}, []string{"60", "1"}), false},
		"unsorted times":       {answer([]column{moment, count}, []string{"2026-03-02 00:00:00+00", "1"}, []string{"2026-03-01 00:00:00+00", "1"}), false},
		"a null as time":       {answer([]column{epoch, count}, []string{"null", "1"}), false},
		"no time":              {answer([]column{{"ts", pgtype.Float8OID}, count}), false},
		"no value":             {answer([]column{epoch}), false},
		"a flag as value":      {answer([]column{epoch, {"x", pgtype.BoolOID}}), false},
		"a text as value":      {answer([]column{epoch, {"x", pgtype.TextOID}}), false},
		"a text as time":       {answer([]column{{"time", pgtype.TextOID}, count}), false},
		"a number as name":     {answer([]column{epoch, {"metric", pgtype.Int8OID}, count}), false},
		"a number that is not": {answer([]column{epoch, count}, []string{"60", "many"}), false},
	} {
		if err := series(c.result); (err == nil) != c.drawn {
			t.Errorf("%s: %v", what, err)
		}
	}
}
