# Made by loci plot. To draw it again, in its folder: gnuplot loss-time.gp
set encoding utf8
set colorsequence podo
set border 3 linecolor rgb '#404040'
set tics nomirror out scale 0.6 textcolor rgb '#202020'
set grid linecolor rgb '#e0e0e0' linewidth 0.5 linetype 1 dashtype 1
set tmargin 2.5
set label 1 'Line: mean over n seeds. Their spread is in the panels.' at screen 0.02, character 0.9 left font ',10' textcolor rgb '#606060'
set bmargin 5.2
set title 'memory: training loss: what learns fastest by the clock?'
set tmargin 2.5
set xlabel 'training time (seconds)'
set ylabel 'training loss (bits per byte)'
set rmargin at screen 0.7552
set key at screen 0.7674, graph 1 left top Left reverse samplen 4 spacing 1.2 maxcols 1 width -100
set yrange [2.2038:3.31989]
set xrange [0:4.07927]
$series0 << EOD
# x mean low high n
0.399734551 3.69071085 3.66792557 3.71779543 3
0.799469103 3.05540027 3.03019549 3.06884273 3
1.19920365 2.76193308 2.74226309 2.78552269 3
1.59893821 2.56351396 2.54498661 2.5745789 3
1.99867276 2.39930849 2.38660259 2.41752436 3
2.39840731 2.29650265 2.2689676 2.34061558 3
EOD
$series1 << EOD
# x mean low high n
0.399734551 3.71272401 3.70210686 3.73011797 3
0.799469103 3.09928489 3.0531528 3.14883619 3
1.19920365 2.79249916 2.77605596 2.80585494 3
1.59893821 2.59944004 2.58309604 2.63176406 3
1.99867276 2.49193457 2.48490307 2.49879301 3
2.39840731 2.3756147 2.35021982 2.39032676 3
EOD
$series2 << EOD
# x mean low high n
0.399734551 3.88523236 3.86752308 3.91285694 3
0.799469103 3.26009978 3.24376682 3.27232064 3
1.19920365 2.94164789 2.93600851 2.9525347 3
1.59893821 2.78065101 2.77511132 2.78991298 3
1.99867276 2.63810127 2.62164107 2.65148659 3
2.39840731 2.47542143 2.46700229 2.48831936 3
EOD
$series3 << EOD
# x mean low high n
0.507923911 3.69889288 3.69037593 3.70884605 3
1.01584782 3.08506543 3.06710839 3.11684321 3
1.52377173 2.78175088 2.74582328 2.80970173 3
2.03169564 2.58501232 2.55961759 2.61918454 3
2.53961955 2.43711051 2.4204413 2.46428885 3
3.04754346 2.31245873 2.29605413 2.33630659 3
EOD
$series4 << EOD
# x mean low high n
0.507923911 3.66464062 3.65449168 3.67025702 3
1.01584782 2.98156161 2.9731264 2.99399899 3
1.52377173 2.68963056 2.66208446 2.73697308 3
2.03169564 2.51981306 2.49792634 2.53606108 3
2.53961955 2.35933063 2.34034726 2.39559008 3
3.04754346 2.26584908 2.22817868 2.3029706 3
EOD
$series5 << EOD
# x mean low high n
0.507923911 3.79209451 3.75630006 3.82729864 3
1.01584782 3.14466779 3.10894729 3.18983026 3
1.52377173 2.82583943 2.82337788 2.82830097 2
2.03169564 2.65034647 2.61540889 2.68528404 2
2.53961955 2.49128416 2.4900262 2.49254212 2
3.04754346 2.42089388 2.39759296 2.44419479 2
EOD
$series6 << EOD
# x mean low high n
0.679879162 3.6397418 3.62646379 3.65497518 3
1.35975832 3.00134968 2.98571575 3.02214379 3
2.03963749 2.71797684 2.70238955 2.74216513 3
2.71951665 2.51102065 2.49625319 2.53203666 3
3.39939581 2.39280223 2.35116553 2.42805789 3
4.07927497 2.26358825 2.23590904 2.30303672 3
EOD
$series7 << EOD
# x mean low high n
0.679879162 3.69426198 3.67388189 3.72150964 3
1.35975832 3.03994309 3.01149284 3.07512292 3
2.03963749 2.71105431 2.69934667 2.73141486 3
2.71951665 2.54378032 2.53261951 2.56375914 3
3.39939581 2.40271697 2.36931926 2.42343239 3
4.07927497 2.28745553 2.25969349 2.32611202 3
EOD
$series8 << EOD
# x mean low high n
0.679879162 3.84242596 3.81284932 3.86286617 3
1.35975832 3.20325806 3.17952123 3.24531396 3
2.03963749 2.89529382 2.89456208 2.89602555 2
2.71951665 2.71142669 2.69741582 2.72543755 2
3.39939581 2.55691404 2.54346978 2.57035829 2
4.07927497 2.44760236 2.41608693 2.47911778 2
EOD
set terminal svg size 821,440 dynamic noenhanced font 'Liberation Sans, Arial, sans-serif,12' background 'white'
set output 'loss-time.svg'
plot $series0 using 1:2 with lines linecolor 1 dashtype 1 linewidth 1.6 title 'short 1e-3 (n = 3)', \
     $series1 using 1:2 with lines linecolor 1 dashtype 2 linewidth 1.6 title 'short 3e-3 (n = 3)', \
     $series2 using 1:2 with lines linecolor 1 dashtype 3 linewidth 1.6 title 'short 1e-2 (n = 3)', \
     $series3 using 1:2 with lines linecolor 2 dashtype 1 linewidth 1.6 title 'long 1e-3 (n = 3)', \
     $series4 using 1:2 with lines linecolor 2 dashtype 2 linewidth 1.6 title 'long 3e-3 (n = 3)', \
     $series5 using 1:2 with lines linecolor 2 dashtype 3 linewidth 1.6 title 'long 1e-2 (n = 2 to 3)', \
     $series6 using 1:2 with lines linecolor 3 dashtype 1 linewidth 1.6 title 'wide 1e-3 (n = 3)', \
     $series7 using 1:2 with lines linecolor 3 dashtype 2 linewidth 1.6 title 'wide 3e-3 (n = 3)', \
     $series8 using 1:2 with lines linecolor 3 dashtype 3 linewidth 1.6 title 'wide 1e-2 (n = 2 to 3)'
if (exists('say_map')) print sprintf('map %g %g %g %g %.9g %.9g %.9g %.9g', GPVAL_TERM_XMIN, GPVAL_TERM_XMAX, GPVAL_TERM_YMIN, GPVAL_TERM_YMAX, GPVAL_X_MIN, GPVAL_X_MAX, GPVAL_Y_MIN, GPVAL_Y_MAX)
