#include "results/report/report_page.h"

/* Kept as text in the program, so that a report needs no file beside it and is one file itself. The
 * script adds what the page can do without: sorting, copying, values under the pointer, a list of
 * contents. With scripts off everything is there and in order.
 *
 * Colours are variables with a light and a dark set; a page that is printed is light whatever the
 * screen was. Good and bad are blue and orange, never green and red. */

const char REPORT_PAGE_STYLE[] =
    ":root{color-scheme:light dark;--ink:#1d2228;--soft:#5b6570;--line:#d7dce1;--page:#fff;"
    "--good:#0072b2;--bad:#b3470a}\n"
    /* The same meanings in lighter tones, which stand out from black. */
    "@media(prefers-color-scheme:dark){:root{--ink:#e4e7ea;--soft:#a0a9b2;--line:#3a424a;"
    "--page:#16191c;--good:#56b4e9;--bad:#e69f00}}\n"
    /* The reader's own system font: nothing is loaded. */
    "body{margin:2rem auto;max-width:78rem;padding:0 1rem;color:var(--ink);"
    "background:var(--page);font:16px/1.5 system-ui,sans-serif}\n"
    "h1{margin-bottom:0}h2{margin:2.2rem 0 .6rem;font-size:1.2rem}\n"
    ".question{color:var(--soft);font-size:1.1rem;margin-top:.2rem}\n"
    /* Digits of one width, so that numbers below each other can be compared. */
    ".scroll{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums;"
    "font-size:.9rem}\n"
    "th,td{padding:.3rem .55rem;border-bottom:1px solid var(--line);text-align:right;"
    "white-space:nowrap}th{vertical-align:bottom}\n"
    "th small{display:block;font-weight:normal;color:var(--soft)}.left{text-align:left}\n"
    "th[data-sort]{cursor:pointer}th[aria-sort=ascending]::after{content:' \\2191'}"
    "th[aria-sort=descending]::after{content:' \\2193'}\n"
    "tr.baseline{font-weight:600}.better{color:var(--good)}.worse{color:var(--bad)}\n"
    /* Pictures are white: turned over they keep their hues. */
    "@media screen and (prefers-color-scheme:dark){figure img{filter:invert(.91) "
    "hue-rotate(180deg)}}\n"
    "nav a{margin-right:1rem;color:var(--soft);font-size:.85rem}\n"
    "figure{margin:1rem 0}figure img{max-width:min(100%,58rem);background:#fff;border-radius:4px}\n"
    /* On a telephone a picture scrolls in its frame, as tables do: made to fit, nobody could read
     * it. */
    "@media screen and (max-width:48rem){figure{overflow-x:auto}figure "
    "img{max-width:none;width:50rem}}\n"
    /* Neither may take the pointer from the picture below it. */
    "#values{position:absolute;pointer-events:none;background:var(--page);border:1px solid "
    "var(--line);border-radius:4px;padding:.15rem .5rem;font-size:.85rem;max-width:24rem}\n"
    "#point{position:absolute;pointer-events:none;width:8px;height:8px;margin:-5px;border:1px "
    "solid "
    "var(--ink);border-radius:50%}\n"
    "figcaption{margin-bottom:.3rem}.note,figcaption a{color:var(--soft);font-size:.85rem}"
    "figcaption a{margin-left:.8rem}button{font:inherit;font-size:.8rem;margin:.3rem .5rem 0 "
    "0;padding:.1rem "
    ".6rem;color:var(--ink);background:transparent;border:1px solid var(--line);border-radius:4px;"
    "cursor:pointer}pre{overflow-x:auto;font-size:.8rem;"
    "padding:.8rem;border:1px solid var(--line);border-radius:4px}\n"
    "ul{padding-left:1.2rem}summary{cursor:pointer}\n"
    /* Smaller letters and no frames that scroll: what does not fit on the page would be lost.
     * Buttons and links that only a pointer can use are left out. */
    "@media print{:root{color-scheme:light;--ink:#000;--soft:#444;--line:#bbb;--page:#fff;"
    "--good:#0072b2;--bad:#b3470a}html{font-size:11px}body{margin:0;max-width:none;font-size:1rem}"
    "h2,h3{break-after:avoid}figure,tr{break-inside:avoid}.scroll{overflow:visible}"
    "table{font-size:7.5px}th,td{padding:.2rem .25rem}th{white-space:normal}"
    "pre{white-space:pre-wrap;font-size:8px}button,nav,figcaption a{display:none}}\n";

/* The table is sorted by data-v, numbers by size and texts by the alphabet; empty cells stay last
 * both ways, as they are no small figures. */
const char REPORT_PAGE_SCRIPT[] =
    "document.querySelectorAll('table.sortable').forEach(function(t){\n"
    "  var body=t.tBodies[0];\n"
    "  t.querySelectorAll('th').forEach(function(h,i){\n"
    "    h.dataset.sort='';\n"
    "    h.addEventListener('click',function(){\n"
    /* A second click turns the order round. aria-sort says it to who cannot see the arrow. */
    "      var up=h.getAttribute('aria-sort')!=='ascending';\n"
    "      t.querySelectorAll('th').forEach(function(x){x.removeAttribute('aria-sort')});\n"
    "      h.setAttribute('aria-sort',up?'ascending':'descending');\n"
    "      var rows=Array.from(body.rows),key=function(r){return r.cells[i].dataset.v};\n"
    "      rows.sort(function(a,b){\n"
    "        var x=key(a),y=key(b),n=x-y;\n"
    "        if(x===''||y==='')return (x==='')-(y==='');\n"
    "        return (isNaN(n)?x.localeCompare(y):n)*(up?1:-1);\n"
    "      });\n"
    "      rows.forEach(function(r){body.appendChild(r)});\n"
    "    });\n"
    "  });\n"
    "});\n"
    /* Buttons that copy a table; without scripts there are none. */
    "document.querySelectorAll('[data-copies]').forEach(function(place){\n"
    "  place.querySelectorAll('template').forEach(function(x){\n"
    "    var b=document.createElement('button'),name='Copy '+x.dataset.name;\n"
    "    b.textContent=name;\n"
    "    b.addEventListener('click',function(){\n"
    "      var t=document.createElement('textarea');\n"
    /* By a selection and the old command, which says whether it worked. */
    "      t.value=x.content.textContent;\n"
    "      document.body.appendChild(t);t.select();\n"
    "      b.textContent=document.execCommand('copy')?'Copied':'Not allowed here';\n"
    "      t.remove();setTimeout(function(){b.textContent=name},1500);\n"
    "    });\n"
    "    place.appendChild(b);\n"
    "  });\n"
    "});\n"
    /* The pointer on a picture: the nearest point of its curves, from the data that the script
     * beside it holds. data-map says where on the picture which values lie. */
    "document.querySelectorAll('img[data-map]').forEach(function(img){\n"
    "  var map=img.dataset.map.split(' ').map(Number),points,axes={},log='';\n"
    "  function read(){\n"
    /* Coordinates are gnuplot's, pixels of its own picture: the y axis goes upwards there, and
     * `scale` is how large the browser shows it. */
    "    var link=img.parentNode.querySelector('figcaption a'),rows={},text;\n"
    /* atob gives bytes; names are UTF-8. A quote is written by gnuplot.c as a string of its own:
     * undone here. */
    "    text=new TextDecoder().decode(Uint8Array.from(atob(link.href.split(',')[1]),"
    "function(c){return c.charCodeAt(0)})).replace(/'\\.\"\\\\047\"\\.'/g,'\\x27');\n"
    "    points=[];\n"
    "    text.split('\\n').forEach(function(line){\n"
    "      var m=/^set ([xy])label '(.*)'/.exec(line),k;\n"
    "      if(m)axes[m[1]]=m[2];\n"
    "      if((m=/^set logscale ([xy]+)/.exec(line)))log+=m[1];\n"
    /* A block's rows are kept by its number until the plot command names it; one that is plotted
     * twice (band and line) is taken once. */
    "      m=/^\\$series(\\d+) << EOD/.exec(line);\n"
    "      if(m){rows[k=m[1]]=[];read.at=rows[k];return}\n"
    "      if(line==='EOD')read.at=null;\n"
    "      if(read.at&&/^[-\\d.]/.test(line))read.at.push(line.split(' ').map(Number));\n"
    "      m=/\\$series(\\d+) using \\(?.*?:2.* title '(.*?)'(, \\\\)?$/.exec(line);\n"
    "      if(!m||!rows[m[1]])return;\n"
    "      rows[m[1]].forEach(function(r){points.push({name:m[2],r:r})});\n"
    "      rows[m[1]]=null;\n"
    "    });\n"
    "  }\n"
    /* Straight on the axis, or on its logarithm, as the script says the axis is. */
    "  function place(v,from,to,low,high,axis){\n"
    "    if(log.includes(axis)){v=Math.log(v);low=Math.log(low);high=Math.log(high)}\n"
    "    return from+(v-low)/(high-low)*(to-from);\n"
    "  }\n"
    /* Points further off than 40 pixels are none of what is pointed at. */
    "  img.addEventListener('pointermove',function(e){\n"
    "    if(!points)read();\n"
    "    var box=img.getBoundingClientRect(),scale=box.width/map[8],best,least=40;\n"
    "    points.forEach(function(p){\n"
    "      var x=place(p.r[0],map[0],map[1],map[4],map[5],'x')*scale;\n"
    "      var y=(map[9]-place(p.r[1],map[2],map[3],map[6],map[7],'y'))*scale;\n"
    "      var d=Math.hypot(x-(e.clientX-box.left),y-(e.clientY-box.top));\n"
    "      if(d<least){least=d;best={p:p,x:x,y:y}}\n"
    "    });\n"
    "    hide();\n"
    "    if(best)show(best,box);\n"
    "  });\n"
    "  function hide(){['values','point'].forEach(function(id){\n"
    "    var old=document.getElementById(id);if(old)old.remove()})}\n"
    "  function add(id,x,y,text){\n"
    "    var d=document.createElement('div');d.id=id;d.textContent=text;\n"
    "    d.style.left=x+scrollX+'px';d.style.top=y+scrollY+'px';document.body.appendChild(d);\n"
    "  }\n"
    "  function show(b,box){\n"
    "    var r=b.p.r,d=function(v){return Number(v.toPrecision(5))};\n"
    /* A slice stands at its number; where it begins is told behind. */
    "    var text=b.p.name+': '+(axes.x||'x')+' '+d(r.length>5?r[5]:r[0])+', '+(axes.y||'y')+' '+"
    "d(r[1]);\n"
    "    if(r[3]>r[2])text+=' ('+d(r[2])+' to '+d(r[3])+')';\n"
    "    add('point',box.left+b.x,box.top+b.y,'');\n"
    "    add('values',box.left+b.x+12,box.top+b.y+12,text);\n"
    "  }\n"
    "  img.addEventListener('pointerleave',hide);\n"
    "});\n"
    /* What the page contains. */
    "document.querySelectorAll('h2').forEach(function(h,i){\n"
    "  var a=document.createElement('a');\n"
    "  h.id='part'+i;a.href='#part'+i;a.textContent=h.textContent;\n"
    "  document.querySelector('nav').appendChild(a);\n"
    "});\n"
    /* On paper nothing is folded away but whole specs. */
    "window.addEventListener('beforeprint',function(){\n"
    "  document.querySelectorAll('details:not([data-long])').forEach(function(x){x.open=true});\n"
    "});\n";
