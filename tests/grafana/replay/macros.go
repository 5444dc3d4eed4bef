package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Span is the range of time that a dashboard shows, and the span of one point.
type Span struct {
	From, To time.Time
	Interval time.Duration
}

// Selection is what somebody chose in a variable.
type Selection struct {
	Values []string
	// All stands in the statement as it is when everything is chosen.
	All string
}

// Sqlstring is Grafana's format of that name.
func (s Selection) Sqlstring() string {
	if s.All != "" {
		return s.All
	}
	quoted := make([]string, len(s.Values))
	for i, value := range s.Values {
		quoted[i] = "'" + strings.ReplaceAll(value, "'", "''") + "'"
	}
	return strings.Join(quoted, ",")
}

var variable = regexp.MustCompile(`\$(\w+)|\[\[(\w+?)(?::(\w+))?\]\]|\$\{(\w+)(?::(\w+))?\}`)

// Fill puts variables into a statement, as the dashboard does before it sends it: wherever they stand,
// also within quotes. Names that are not variables stay.
func Fill(sql string, span Span, variables map[string]Selection) (string, error) {
	var failed error
	filled := variable.ReplaceAllStringFunc(sql, func(found string) string {
		groups := variable.FindStringSubmatch(found)
		name, format := groups[1]+groups[2]+groups[4], groups[3]+groups[5]
		switch name {
		case "__interval":
			return interval(span.Interval)
		case "__interval_ms":
			return strconv.FormatInt(span.Interval.Milliseconds(), 10)
		}
		selection, known := variables[name]
		if !known {
			return found
		}
		if format != "sqlstring" {
			failed = fmt.Errorf("`%s`: how it is quoted depends on the version of Grafana", found)
		}
		return selection.Sqlstring()
	})
	return filled, failed
}

var macro = regexp.MustCompile(`\$([_a-zA-Z0-9]+)\(([^)]*)\)`)

// Expand replaces macros, as the data source does before it asks the database. It knows nothing of
// quotes, and arguments end at the first bracket.
func Expand(sql string, span Span) (string, error) {
	var failed error
	expanded := macro.ReplaceAllStringFunc(sql, func(found string) string {
		groups := macro.FindStringSubmatch(found)
		arguments := strings.Split(groups[2], ",")
		for i := range arguments {
			arguments[i] = strings.Trim(arguments[i], " ")
		}
		text, err := call(groups[1], arguments, span)
		if err != nil && failed == nil {
			failed = err
		}
		return text
	})
	return expanded, failed
}

func call(name string, arguments []string, span Span) (string, error) {
	from, to := span.From.UTC().Format(time.RFC3339Nano), span.To.UTC().Format(time.RFC3339Nano)
	switch name {
	case "__timeFilter":
		return fmt.Sprintf("%s BETWEEN '%s' AND '%s'", arguments[0], from, to), nil
	case "__timeFrom":
		return "'" + from + "'", nil
	case "__timeTo":
		return "'" + to + "'", nil
	case "__timeGroup", "__timeGroupAlias":
		if len(arguments) < 2 {
			return "", fmt.Errorf("%s needs a column and an interval", name)
		}
		width, err := parseInterval(strings.Trim(arguments[1], "'"))
		if err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		seconds := width.Seconds()
		text := fmt.Sprintf("floor(extract(epoch from %s)/%v)*%v", arguments[0], seconds, seconds)
		if name == "__timeGroupAlias" {
			text += ` AS "time"`
		}
		return text, nil
	}
	return "", fmt.Errorf("unknown macro %q", name)
}

func parseInterval(text string) (time.Duration, error) {
	for unit, length := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		if number, err := strconv.Atoi(strings.TrimSuffix(text, unit)); err == nil && strings.HasSuffix(text, unit) {
			return time.Duration(number) * length, nil
		}
	}
	return time.ParseDuration(text)
}

// interval is a length of time as Grafana writes it.
func interval(width time.Duration) string {
	units := []struct {
		name   string
		length time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}}
	for _, unit := range units {
		if width >= unit.length && width%unit.length == 0 {
			return strconv.FormatInt(int64(width/unit.length), 10) + unit.name
		}
	}
	return strconv.FormatInt(width.Milliseconds(), 10) + "ms"
}

// nice is a width of points that Grafana would choose for this range, of at least `least`.
func nice(span time.Duration, least time.Duration) time.Duration {
	const points = 1000
	widths := []time.Duration{
		10 * time.Millisecond, 100 * time.Millisecond, 500 * time.Millisecond,
		time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second,
		time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute,
		time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour,
	}
	for _, width := range widths {
		if width >= least && width >= span/points {
			return width
		}
	}
	return 7 * 24 * time.Hour
}
