// Buttons "AI analysis" on the study, series and instance pages of Orthanc Explorer 1.
//
// Orthanc concatenates what its plugins add into one file, loaded by a page of jQuery 1.7 and jQuery Mobile 1.1: hence
// one function of its own, the leading semicolon (the file before may lack its last one), and ES5 syntax throughout.
;(function ($) {
  'use strict';

  var LABEL = 'AI analysis';
  var POLL_MS = 700;
  var POLL_AFTER_FAILURE_MS = 4000;
  // Per page of Explorer: the level of its resource in REST addresses.
  var LEVELS = { study: 'studies', series: 'series', instance: 'instances' };
  var STAGES = {
    fetch: 'fetching images', read: 'reading images', prepare: 'preparing images',
    infer: 'analysing images', encode: 'writing the report', store: 'storing the report'
  };

  // What the visible page is about; a new object whenever that changes, so that answers to older questions are dropped.
  var current = null;

  function isActive(run) {
    return run.State === 'Queued' || run.State === 'Running';
  }

  /** Why a request failed: the server's own words (Orthanc's error form), or that there was no answer. */
  function reasonOf(xhr) {
    var said = {};
    try {
      said = JSON.parse(xhr.responseText) || {};
    } catch (e) { /* a proxy's HTML page */ }
    if (xhr.status === 0) {
      return 'The server does not answer.';
    }
    var after = xhr.status === 503 && xhr.getResponseHeader('Retry-After');
    return (said.Details || said.Message || 'The server refused.') +
      (after ? ' Try again in ' + after + ' s.' : '') + ' (HTTP ' + xhr.status + ')';
  }

  function get(path) {
    return $.ajax({ url: '..' + path, dataType: 'json', cache: false });
  }

  function post(path, body) {
    return $.ajax({ url: '..' + path, type: 'POST', dataType: 'json', contentType: 'application/json', data: JSON.stringify(body) });
  }

  function percent(probability) {
    var rounded = Math.round(probability * 100);
    return (rounded === 100 && probability < 1 ? '>99' : rounded === 0 && probability > 0 ? '<1' : rounded) + ' %';
  }

  function summary(run) {
    if (run.Segmentation) {
      return $.map(run.Segmentation.Segments, function (segment) {
        return segment.Name + ' ' + (segment.Found ? segment.VolumeMl.toFixed(segment.VolumeMl < 10 ? 2 : 1) + ' ml' : 'no finding');
      }).join(', ');
    }
    if (run.Overall) {
      return run.Overall.Class + ' ' + percent(run.Overall.Probability) + ' (' + run.Overall.Analysed + ' of ' + run.Overall.Total + ' images)';
    }
    return $.map(run.Results || [], function (result) {
      return result.View + ' ' + (result.Success ? result.Class + ' ' + percent(result.Probability) : 'not analysed');
    }).join(', ');
  }

  /** The button and the status lines below it; made once per page of Explorer. */
  function insert(page) {
    if ($('#ai-analysis-' + page).length) {
      return;
    }
    var button = $('<a>').attr({ id: 'ai-analysis-' + page, href: '#', role: 'button', 'data-role': 'button', 'data-icon': 'star', 'data-theme': 'e' }).text(LABEL);
    var status = $('<div>').attr({ id: 'ai-status-' + page, role: 'status', 'aria-live': 'polite' })
      .css({ margin: '0 2px 14px', lineHeight: 1.4, fontSize: '14px', overflowWrap: 'anywhere' });
    button.insertAfter('#' + page + '-info').after(status);
    button.buttonMarkup();
    button.click(function (event) {
      event.preventDefault();
      if (current && !current.busy) {
        press(current);
      }
    });
  }

  function setButton(context, text, busy) {
    context.busy = busy;
    var button = $('#ai-analysis-' + context.page);
    button.find('.ui-btn-text').text(text);
    button.toggleClass('ui-disabled', busy).attr('aria-disabled', busy ? 'true' : 'false');
    button.css('opacity', busy ? 0.85 : ''); // jQuery Mobile fades disabled buttons too far to read their progress
  }

  function line(text, css) {
    return $('<div>').text(text).css(css || {});
  }

  /** Replaces the status lines, but only when they say something new: they are read aloud. */
  function setStatus(context, lines, signature) {
    if (context.signature !== signature) {
      context.signature = signature;
      var status = $('#ai-status-' + context.page).empty();
      $.each(lines, function (_, one) { status.append(one); }); // jQuery 1.7 appends no list of jQuery objects
    }
  }

  function fail(context, text) {
    setButton(context, LABEL, false);
    setStatus(context, [line(text, { color: '#a31d1d', fontWeight: 'bold' })], 'error ' + text);
  }

  function resultLines(run) {
    var lines = [line((run.ModelTitle || run.Model) + ': ' + (run.State === 'Succeeded' ? 'done' : run.State.toLowerCase()) +
      (run.Status === 'AlreadyStored' ? ' (the same report was stored before)' : ''), { fontWeight: 'bold' })];
    if (run.State === 'Succeeded') {
      lines.push(line(summary(run)));
    } else if (run.Error) {
      lines.push(line(run.Error, { color: '#a31d1d' }));
    }
    var link = $('<a>').addClass('ai-result ui-link').attr('href', '../ai/app/index.html' + window.location.search + '#/runs/' + encodeURIComponent(run.ID))
      .attr('rel', 'external').text('Open the results'); // rel: jQuery Mobile must not load it into Explorer
    lines.push($('<div>').append(link), line(run.Disclaimer || '', { fontSize: '12px', marginTop: '3px' }));
    return lines;
  }

  /** Shows these runs: how far they are, or what they found. */
  function show(context, runs) {
    var active = $.grep(runs, isActive);
    var lines = [];
    if (active.length) {
      var run = active[0];
      var stage = STAGES[run.Stage] || (run.State === 'Queued' ? 'waiting' : 'running');
      setButton(context, LABEL + ': ' + stage + ' ' + Math.round(run.Progress) + ' %', true);
    } else {
      setButton(context, LABEL, false);
    }
    $.each(runs, function (_, run) {
      lines = lines.concat(isActive(run)
        ? [line((run.ModelTitle || run.Model) + ': ' + (STAGES[run.Stage] || run.State.toLowerCase()))]
        : resultLines(run));
    });
    setStatus(context, lines.concat(context.notes), JSON.stringify($.map(runs, function (run) { return [run.ID, run.State, run.Stage]; })));
  }

  /** Asks for the runs with these ids until none is active, as long as their page is the visible one. */
  function follow(context, ids) {
    var requests = $.map(ids, function (id) { return get('/ai/runs/' + encodeURIComponent(id)); });
    var again = function (delay) {
      context.timer = window.setTimeout(function () { follow(context, ids); }, delay);
    };
    $.when.apply($, requests).then(function () {
      if (context !== current) {
        return;
      }
      var answers = ids.length === 1 ? [arguments] : $.makeArray(arguments); // each [json, status, xhr]
      var runs = $.map(answers, function (answer) { return answer[0]; });
      show(context, runs);
      if ($.grep(runs, isActive).length) {
        again(POLL_MS);
      }
    }, function (xhr) {
      if (context !== current) {
        return;
      }
      if (xhr.status === 0 || xhr.status >= 500) {
        setButton(context, LABEL + ': waiting for the server', true);
        again(POLL_AFTER_FAILURE_MS);
      } else {
        fail(context, reasonOf(xhr));
      }
    });
  }

  /** What applies to the resource; where none does and it is part of a study, what applies to the study. */
  function applicable(path) {
    return get(path + '/ai').pipe(function (answer) {
      var fits = $.grep(answer.Models, function (model) { return model.Applies; });
      if (fits.length || !answer.Parent) {
        return { path: path, answer: answer, fits: fits };
      }
      return applicable(answer.Parent);
    });
  }

  /** One POST a model, so that one that is refused does not hide the others. A single model needs no name. */
  function start(found, ready) {
    var outcomes = $.map(ready, function (model) {
      var done = $.Deferred();
      post(found.path + '/ai', found.fits.length === 1 ? {} : { Model: model.Model }).then(function (answer) {
        done.resolve({ ids: $.map($.isArray(answer) ? answer : [answer], function (one) { return one.ID; }) });
      }, function (xhr) {
        done.resolve({ ids: [], problem: (model.Title || model.Model) + ': ' + reasonOf(xhr) });
      });
      return done;
    });
    return $.when.apply($, outcomes).pipe(function () { return $.makeArray(arguments); });
  }

  function press(context) {
    setButton(context, LABEL + ': starting…', true);
    setStatus(context, [], 'starting');
    applicable(context.path).then(function (found) {
      var ready = $.grep(found.fits, function (model) { return model.State === 'Ready'; });
      if (!ready.length) {
        if (context === current) {
          fail(context, whyNone(found));
        }
        return;
      }
      start(found, ready).then(function (outcomes) {
        if (context !== current) {
          return; // the runs go on; the page finds them when it is shown again
        }
        var ids = $.map(outcomes, function (outcome) { return outcome.ids; });
        var problems = $.map(outcomes, function (outcome) { return outcome.problem; });
        if (!ids.length) {
          fail(context, problems.join(' '));
          return;
        }
        context.notes = $.map(problems, function (problem) { return line(problem, { color: '#a31d1d' }); });
        follow(context, ids);
      });
    }, function (xhr) {
      if (context === current) {
        fail(context, reasonOf(xhr));
      }
    });
  }

  /** Why there is nothing to run: models that fit but are not ready first, else every model's reason. */
  function whyNone(found) {
    var candidates = found.fits.length ? found.fits : found.answer.Models;
    if (!candidates.length) {
      return 'No AI model is installed.';
    }
    return $.map(candidates, function (model) {
      return (model.Title || model.Model) + ': ' + (model.Reason || (model.State === 'NoWeights' ? 'its weights are not installed' : model.State));
    }).join('. ');
  }

  function leave() {
    if (current) {
      window.clearTimeout(current.timer);
      current = null;
    }
  }

  /** The page of a resource came up: takes up its run where it stands, or shows what its last run found. */
  function enter(page) {
    leave();
    var uuid = $.mobile.pageData && $.mobile.pageData.uuid;
    if (!uuid) {
      return;
    }
    insert(page);
    var context = current = { page: page, uuid: uuid, path: '/' + LEVELS[page] + '/' + uuid, busy: false, timer: null, notes: [], signature: null };
    setButton(context, LABEL, false);
    setStatus(context, [], 'empty');
    lastRuns(context.path).then(function (runs) {
      if (context !== current || context.busy || context.signature !== 'empty') {
        return; // left, or pressed meanwhile
      }
      var active = $.grep(runs, isActive);
      if (active.length) {
        follow(context, $.map(active, function (run) { return run.ID; }));
      } else if (runs.length) {
        show(context, [runs[0]]);
      }
    }, $.noop); // the button says why when it is pressed
  }

  /** Runs of a resource, newest first; where it has none, those of the study that it is part of. */
  function lastRuns(path) {
    return get(path + '/ai').pipe(function (answer) {
      return answer.Runs.length || !answer.Parent ? answer.Runs : lastRuns(answer.Parent);
    });
  }

  $.each(LEVELS, function (page) {
    $('#' + page).live('pagebeforeshow', function () { enter(page); });
    $('#' + page).live('pagebeforehide', leave);
  });

  // Explorer moves from one resource to another of the same kind (back button) without any page event.
  $(window).bind('hashchange', function () {
    var data = $.mobile.pageData || {};
    if (current && data.active === current.page && data.uuid && data.uuid !== current.uuid) {
      enter(current.page);
    }
  });
}(jQuery));
