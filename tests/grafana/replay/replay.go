// Replay asks every question of generated dashboards and alerts as Grafana would: it fills in
// variables, expands macros, and sends the statement through pgx with the simple protocol. Answers must
// be what panels and rules can show.
//
//	replay [-from TIME] [-to TIME] [-require-rows] postgres://USER:PASSWORD@HOST:PORT/CATALOG FILE...
//
// A FILE is a dashboard, or a file of alerts as JSON.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgproto3/v2"
	"github.com/jackc/pgtype"
	"github.com/jackc/pgx/v4"
)

// File is what is asked of a dashboard (panels, variables) or of a file of alerts (groups).
type File struct {
	Title      string
	Panels     []Panel
	Templating struct{ List []Variable }
	Groups     []struct{ Rules []Rule }
}

// Panel is a panel, or a row of them.
type Panel struct {
	Title, Type, Interval string
	Targets               []Query
	Panels                []Panel
}

// Query is a statement and what Grafana makes of its answer.
type Query struct {
	Format, RawSql string
}

// Variable is something to choose.
type Variable struct {
	Name, Type, Query, AllValue string
}

// Rule is an alert.
type Rule struct {
	Title string
	Data  []struct {
		DatasourceUid string
		Model         Query
	}
}

// Types that Grafana turns into numbers.
var numbers = map[uint32]bool{
	pgtype.Int2OID: true, pgtype.Int4OID: true, pgtype.Int8OID: true,
	pgtype.Float4OID: true, pgtype.Float8OID: true, pgtype.NumericOID: true,
}

// Types that it turns into times.
var times = map[uint32]bool{pgtype.TimestampOID: true, pgtype.TimestamptzOID: true, pgtype.DateOID: true}

// Types that it takes for the name of a series.
var texts = map[uint32]bool{pgtype.TextOID: true, pgtype.VarcharOID: true, pgtype.UnknownOID: true}

type replay struct {
	connection  *pgx.Conn
	span        Span
	requireRows bool
	statements  int
	rows        int
	problems    int
}

func main() {
	from := flag.String("from", "2026-01-01T00:00:00Z", "beginning of the range of time")
	to := flag.String("to", "2027-01-01T00:00:00Z", "its end")
	requireRows := flag.Bool("require-rows", false, "an answer without rows is a problem, too")
	flag.Parse()
	if flag.NArg() < 2 {
		fmt.Fprintln(os.Stderr, "usage: replay [options] postgres://USER:PASSWORD@HOST:PORT/CATALOG FILE...")
		flag.PrintDefaults()
		os.Exit(2)
	}
	if err := run(flag.Arg(0), flag.Args()[1:], *from, *to, *requireRows); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(address string, files []string, from, to string, requireRows bool) error {
	r := replay{requireRows: requireRows}
	var err error
	if r.span.From, err = time.Parse(time.RFC3339, from); err != nil {
		return err
	}
	if r.span.To, err = time.Parse(time.RFC3339, to); err != nil {
		return err
	}
	ctx := context.Background()
	if r.connection, err = pgx.Connect(ctx, address); err != nil {
		return err
	}
	defer r.connection.Close(ctx)
	// "Save & test" sends a statement that is nothing but a comment.
	if _, err := r.connection.PgConn().Exec(ctx, "-- ping").ReadAll(); err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		var file File
		if err := json.Unmarshal(text, &file); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		r.file(file)
	}
	fmt.Printf("%d statements of %d files, %d rows, %d problems\n", r.statements, len(files), r.rows, r.problems)
	if r.problems > 0 {
		return errors.New("not everything can be shown")
	}
	if r.statements == 0 {
		return errors.New("there was nothing to ask")
	}
	return nil
}

func (r *replay) file(file File) {
	for _, selection := range r.selections(file) {
		for _, panel := range flat(file.Panels) {
			if panel.Type != "row" && len(panel.Targets) == 0 {
				r.problem(file.Title, panel.Title, "", errors.New("asks nothing"))
			}
			for _, query := range panel.Targets {
				sql, err := r.panel(panel, query, selection)
				if err != nil {
					r.problem(file.Title, panel.Title, sql, err)
				}
			}
		}
	}
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			sql, err := r.rule(rule)
			if err != nil {
				r.problem("alerts", rule.Title, sql, err)
			}
		}
	}
}

// selections are all values, one, and two of each variable that offers values.
func (r *replay) selections(file File) []map[string]Selection {
	all, one, two := map[string]Selection{}, map[string]Selection{}, map[string]Selection{}
	hasChoice := false
	for _, variable := range file.Templating.List {
		if variable.Type != "query" {
			selection := Selection{Values: []string{variable.Query}}
			all[variable.Name], one[variable.Name], two[variable.Name] = selection, selection, selection
			continue
		}
		hasChoice = true
		values, sql, err := r.choices(variable)
		if err != nil {
			r.problem(file.Title, "variable "+variable.Name, sql, err)
		}
		all[variable.Name] = Selection{Values: values, All: variable.AllValue}
		one[variable.Name] = Selection{Values: append(values, "0")[:1]}
		two[variable.Name] = Selection{Values: append(values, "0", "0")[:2]}
	}
	if !hasChoice {
		return []map[string]Selection{all}
	}
	return []map[string]Selection{all, one, two}
}

func (r *replay) choices(variable Variable) ([]string, string, error) {
	result, sql, err := r.ask(variable.Query, r.span, nil)
	if err != nil {
		return nil, sql, err
	}
	if len(result.FieldDescriptions) != 1 {
		return nil, sql, fmt.Errorf("%d columns to choose from", len(result.FieldDescriptions))
	}
	var values []string
	for _, row := range result.Rows {
		if row[0] == nil {
			return nil, sql, errors.New("null cannot be chosen")
		}
		values = append(values, string(row[0]))
	}
	return values, sql, r.rowsOf(result)
}

func (r *replay) panel(panel Panel, query Query, selection map[string]Selection) (string, error) {
	span := r.span
	least, err := parseInterval(panel.Interval)
	if panel.Interval != "" && err != nil {
		return query.RawSql, err
	}
	span.Interval = nice(span.To.Sub(span.From), least)
	result, sql, err := r.ask(query.RawSql, span, selection)
	if err != nil {
		return sql, err
	}
	switch query.Format {
	case "time_series":
		err = series(result)
	case "table":
	default:
		err = fmt.Errorf("unknown format %q", query.Format)
	}
	if err != nil {
		return sql, err
	}
	return sql, r.rowsOf(result)
}

// rule asks what a threshold compares: one number.
func (r *replay) rule(rule Rule) (string, error) {
	sql := ""
	for _, data := range rule.Data {
		if data.DatasourceUid == "__expr__" {
			continue
		}
		var result *pgconn.Result
		var err error
		if result, sql, err = r.ask(data.Model.RawSql, r.span, nil); err != nil {
			return sql, err
		}
		if len(result.Rows) != 1 || len(result.FieldDescriptions) != 1 {
			return sql, fmt.Errorf("%d rows of %d columns", len(result.Rows), len(result.FieldDescriptions))
		}
		if !numbers[result.FieldDescriptions[0].DataTypeOID] || result.Rows[0][0] == nil {
			return sql, errors.New("not a number")
		}
	}
	if sql == "" {
		return sql, errors.New("asks nothing")
	}
	return sql, nil
}

func (r *replay) ask(sql string, span Span, selection map[string]Selection) (*pgconn.Result, string, error) {
	sql, err := Fill(sql, span, selection)
	if err != nil {
		return nil, sql, err
	}
	if sql, err = Expand(sql, span); err != nil {
		return nil, sql, err
	}
	r.statements++
	results, err := read(r.connection.PgConn().Exec(context.Background(), sql))
	if err != nil {
		return nil, sql, err
	}
	if len(results) != 1 {
		return nil, sql, fmt.Errorf("%d answers", len(results))
	}
	result := results[0]
	r.rows += len(result.Rows)
	// What has another tag is passed over in silence.
	if tag := fmt.Sprintf("SELECT %d", len(result.Rows)); string(result.CommandTag) != tag {
		return nil, sql, fmt.Errorf("the tag is %q, expected %q", result.CommandTag, tag)
	}
	for _, field := range result.FieldDescriptions {
		if _, known := r.connection.ConnInfo().DataTypeForOID(field.DataTypeOID); !known {
			return nil, sql, fmt.Errorf("column %q has the unknown type %d", field.Name, field.DataTypeOID)
		}
		if field.Format != pgtype.TextFormatCode {
			return nil, sql, fmt.Errorf("column %q is not text", field.Name)
		}
	}
	return result, sql, nil
}

// read is ReadAll, which forgets the columns of an answer without rows.
func read(answers *pgconn.MultiResultReader) ([]*pgconn.Result, error) {
	var results []*pgconn.Result
	for answers.NextResult() {
		reader := answers.ResultReader()
		fields := append([]pgproto3.FieldDescription(nil), reader.FieldDescriptions()...)
		result := reader.Read()
		result.FieldDescriptions = fields
		results = append(results, result)
	}
	return results, answers.Close()
}

func (r *replay) rowsOf(result *pgconn.Result) error {
	if r.requireRows && len(result.Rows) == 0 {
		return errors.New("no rows")
	}
	return nil
}

// series checks that rows can be drawn over time.
func series(result *pgconn.Result) error {
	at := -1
	values := 0
	for i, field := range result.FieldDescriptions {
		oid := field.DataTypeOID
		switch string(field.Name) {
		case "time":
			at = i
			if !times[oid] && !numbers[oid] {
				return fmt.Errorf("the time has the type %d", oid)
			}
		case "metric":
			if !texts[oid] {
				return fmt.Errorf("the name of the series has the type %d", oid)
			}
		default:
			values++
			if !numbers[oid] {
				return fmt.Errorf("column %q has the type %d, which is no number", field.Name, oid)
			}
		}
	}
	if at < 0 || values == 0 {
		return errors.New("a series has a column `time` and a value")
	}
	return sorted(result, at)
}

// sorted checks that times ascend, and that numbers can be read.
func sorted(result *pgconn.Result, at int) error {
	var last []byte
	latest := math.Inf(-1)
	for _, row := range result.Rows {
		for i, field := range result.FieldDescriptions {
			if row[i] == nil && i != at || !numbers[field.DataTypeOID] {
				continue
			}
			number, err := strconv.ParseFloat(string(row[i]), 64)
			if err != nil {
				return fmt.Errorf("column %q: %w", field.Name, err)
			}
			if i == at && number < latest {
				return errors.New("rows are not sorted by time")
			}
			if i == at {
				latest = number
			}
		}
		// Written times sort as text.
		if times[result.FieldDescriptions[at].DataTypeOID] && bytes.Compare(row[at], last) < 0 {
			return errors.New("rows are not sorted by time")
		}
		last = row[at]
	}
	return nil
}

func flat(panels []Panel) []Panel {
	var all []Panel
	for _, panel := range panels {
		all = append(append(all, panel), flat(panel.Panels)...)
	}
	return all
}

func (r *replay) problem(file, place, sql string, err error) {
	r.problems++
	fmt.Fprintf(os.Stderr, "%s: %s: %v\n  %s\n", file, place, err, strings.ReplaceAll(sql, "\n", "\n  "))
}
