// Copyright: (c) 2026, azureops.pod_identity contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Package mlog stands in for monis.app/mlog, which module proxies do not serve. It has the part of its surface that
// azure-workload-identity uses, on top of klog; it only logs, so nothing that the sandbox observes depends on it.
package mlog

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
)

type LogLevel string

type LogFormat string

const (
	LevelWarning LogLevel = ""
	LevelInfo    LogLevel = "info"
	LevelDebug   LogLevel = "debug"
	LevelTrace   LogLevel = "trace"
	LevelAll     LogLevel = "all"

	FormatJSON LogFormat = "json"
	FormatCLI  LogFormat = "cli"
)

type LogSpec struct {
	Level  LogLevel
	Format LogFormat
}

// verbosity is the klog verbosity that shows a level.
var verbosity = map[LogLevel]int{LevelWarning: 0, LevelInfo: 1, LevelDebug: 4, LevelTrace: 6, LevelAll: 8}

var current atomic.Int32

// ValidateAndSetLogLevelAndFormatGlobally sets the level; the format is klog's text whatever was asked.
func ValidateAndSetLogLevelAndFormatGlobally(_ context.Context, spec LogSpec) error {
	v, known := verbosity[spec.Level]
	if !known {
		return fmt.Errorf("invalid log level %q, valid choices are the empty string, info, debug, trace and all", spec.Level)
	}
	current.Store(int32(v))
	var level klog.Level
	return level.Set(strconv.Itoa(v))
}

func Enabled(level LogLevel) bool {
	v, known := verbosity[level]
	return known && int32(v) <= current.Load()
}

type Logger interface {
	Error(msg string, err error, keysAndValues ...any)
	Warning(msg string, keysAndValues ...any)
	Info(msg string, keysAndValues ...any)
	Debug(msg string, keysAndValues ...any)
	WithValues(keysAndValues ...any) Logger
	WithName(name string) Logger
}

type logger struct{ to logr.Logger }

func (l logger) at(level LogLevel) logr.Logger { return l.to.V(verbosity[level]) }

func (l logger) Error(msg string, err error, kv ...any) { l.to.Error(err, msg, kv...) }
func (l logger) Warning(msg string, kv ...any)          { l.at(LevelWarning).Info(msg, kv...) }
func (l logger) Info(msg string, kv ...any)             { l.at(LevelInfo).Info(msg, kv...) }
func (l logger) Debug(msg string, kv ...any)            { l.at(LevelDebug).Info(msg, kv...) }
func (l logger) WithValues(kv ...any) Logger            { return logger{l.to.WithValues(kv...)} }
func (l logger) WithName(name string) Logger            { return logger{l.to.WithName(name)} }

func Logr() logr.Logger                  { return klog.Background() }
func New() Logger                        { return logger{Logr()} }
func WithName(name string) Logger        { return New().WithName(name) }
func WithValues(kv ...any) Logger        { return New().WithValues(kv...) }
func Setup() func()                      { return klog.Flush }
func Error(m string, e error, kv ...any) { New().Error(m, e, kv...) }
func Warning(m string, kv ...any)        { New().Warning(m, kv...) }
func Info(m string, kv ...any)           { New().Info(m, kv...) }
func Debug(m string, kv ...any)          { New().Debug(m, kv...) }

func Fatal(err error, kv ...any) {
	klog.ErrorS(err, "fatal", kv...)
	klog.Flush()
	os.Exit(1)
}
