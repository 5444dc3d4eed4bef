package main

import (
	"testing"
	"time"
)

var hour = Span{
	From:     time.Date(2026, 3, 1, 9, 0, 0, 500e6, time.UTC),
	To:       time.Date(2026, 3, 1, 10, 0, 0, 0, time.FixedZone("", 3600)),
	Interval: 30 * time.Second,
}

func TestMacros(t *testing.T) {
	cases := map[string]string{
		"where $__timeFilter(ts)":                     "where ts BETWEEN '2026-03-01T09:00:00.5Z' AND '2026-03-01T09:00:00Z'",
		`where $__timeFilter("it's")`:                 `where "it's" BETWEEN '2026-03-01T09:00:00.5Z' AND '2026-03-01T09:00:00Z'`,
		"select $__timeFrom(), $__timeTo()":           "select '2026-03-01T09:00:00.5Z', '2026-03-01T09:00:00Z'",
		"select $__timeGroup(ts, '5m') from t":        "select floor(extract(epoch from ts)/300)*300 from t",
		"select $__timeGroupAlias(ts , '1d'), x":      `select floor(extract(epoch from ts)/86400)*86400 AS "time", x`,
		"select $__timeGroupAlias(ts, 500ms)":         `select floor(extract(epoch from ts)/0.5)*0.5 AS "time"`,
		"select $__timeGroupAlias(ts, 2w)":            `select floor(extract(epoch from ts)/1.2096e+06)*1.2096e+06 AS "time"`,
		`select $__timeGroupAlias("a)b", '5m')`:       "",
		"select $__timeGroup(ts)":                     "",
		"select $__timeGroup(ts, 'soon')":             "",
		"select $__unheardOf(ts)":                     "",
		"select '$1', $ from t where x = $tag$a$tag$": "select '$1', $ from t where x = $tag$a$tag$",
	}
	for sql, expected := range cases {
		found, err := Expand(sql, hour)
		if (err != nil) != (expected == "") {
			t.Errorf("%s: error %v", sql, err)
		}
		if err == nil && found != expected {
			t.Errorf("%s\nbecomes  %s\nexpected %s", sql, found, expected)
		}
	}
}

func TestVariables(t *testing.T) {
	variables := map[string]Selection{
		"one":  {Values: []string{"7"}},
		"many": {Values: []string{"a", "it's", "b"}},
		"all":  {Values: []string{"7"}, All: `"all"`},
	}
	cases := map[string]string{
		"x in (${one:sqlstring})":           "x in ('7')",
		"x in (${many:sqlstring})":          "x in ('a','it''s','b')",
		`"all" in (${all:sqlstring})`:       `"all" in ("all")`,
		`"[[one:sqlstring]]"`:               `"'7'"`,
		"$__timeGroup(ts, $__interval)":     "$__timeGroup(ts, 30s)",
		"$__timeGroup(ts, ${__interval})":   "$__timeGroup(ts, 30s)",
		"$__interval_ms $other [[another]]": "30000 $other [[another]]",
		"x in ($one)":                       "",
		"x in (${one:csv})":                 "",
	}
	for sql, expected := range cases {
		found, err := Fill(sql, hour, variables)
		if (err != nil) != (expected == "") {
			t.Errorf("%s: error %v", sql, err)
		}
		if err == nil && found != expected {
			t.Errorf("%s\nbecomes  %s\nexpected %s", sql, found, expected)
		}
	}
}

func TestIntervals(t *testing.T) {
	for text, width := range map[string]time.Duration{
		"10ms": 10 * time.Millisecond, "1s": time.Second, "90s": 90 * time.Second, "5m": 5 * time.Minute,
		"12h": 12 * time.Hour, "1d": 24 * time.Hour,
	} {
		if found := interval(width); found != text {
			t.Errorf("%s is written %s", width, found)
		}
		if found, err := parseInterval(text); err != nil || found != width {
			t.Errorf("%s is read as %s, %v", text, found, err)
		}
	}
	for _, c := range []struct{ span, least, width time.Duration }{
		{15 * time.Minute, time.Second, time.Second},
		{24 * time.Hour, time.Second, 5 * time.Minute},
		{24 * time.Hour, 24 * time.Hour, 24 * time.Hour},
		{10 * 365 * 24 * time.Hour, time.Second, 7 * 24 * time.Hour},
	} {
		if found := nice(c.span, c.least); found != c.width {
			t.Errorf("%s in points of at least %s: %s", c.span, c.least, found)
		}
	}
}
