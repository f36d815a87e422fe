# Made by loci plot. To draw it again, in its folder: gnuplot gain-position.gp
set encoding utf8
set colorsequence podo
set border 3 linecolor rgb '#404040'
set tics nomirror out scale 0.6 textcolor rgb '#202020'
set grid linecolor rgb '#e0e0e0' linewidth 0.5 linetype 1 dashtype 1
set tmargin 2.5
set label 1 'Point: mean over n seeds; 95 % intervals: loci compare --by. Slices of fewer than 100 tokens: not drawn.' at screen 0.02, character 0.9 left font ',10' textcolor rgb '#606060'
set bmargin 5.2
set title 'memory: where in a document are gains made?'
set tmargin 2.5
set xlabel 'tokens before it in the document (from; each slice up to twice that)'
set ylabel 'gain over short 1e-3 (bits per byte)'
set rmargin at screen 0.7552
set key at screen 0.7674, graph 1 left top Left reverse samplen 4 spacing 1.2 maxcols 1 width -100
set xtics noenhanced ('0' 0, '64' 1, '128' 2)
set xrange [-0.4:2.4]
set yrange [-0.423474:0.105422]
$series1 << EOD
# x mean low high n
0 -2.82597086e-05 -0.00329988408 0.00324336466 3 0 30000
1 -0.0498650797 -0.0519064428 -0.0478237166 3 64 30000
2 -0.0999272043 -0.102924232 -0.0969301763 3 128 30000
EOD
$series2 << EOD
# x mean low high n
0 6.65632444e-06 -0.00522958596 0.00524289861 3 0 30000
1 -0.200115368 -0.202056308 -0.198174429 3 64 30000
2 -0.399433205 -0.4035013 -0.395365111 3 128 30000
EOD
$series3 << EOD
# x mean low high n
0 -0.000167469461 -0.00493853728 0.00460359836 3 0 30000
1 -0.020105372 -0.0232429894 -0.0169677547 3 64 30000
2 -0.040139264 -0.0434261787 -0.0368523493 3 128 30000
EOD
$series4 << EOD
# x mean low high n
0 0.00133784153 -0.00135988456 0.00403556761 3 0 30000
1 0.0411588668 0.0398449953 0.0424727382 3 64 30000
2 0.0813812144 0.0786266625 0.0841357664 3 128 30000
EOD
$series5 << EOD
# x mean low high n
0 0.0011540856 -0.0146700365 0.0169782077 2 0 30000
1 -0.0993090003 -0.109571035 -0.0890469651 2 64 30000
2 -0.199322917 -0.206621495 -0.192024338 2 128 30000
EOD
$series6 << EOD
# x mean low high n
0 7.30635877e-05 -0.00347457098 0.00362069815 3 0 30000
1 0.0299262684 0.0287262792 0.0311262577 3 64 30000
2 0.0601090071 0.0569459743 0.0632720398 3 128 30000
EOD
$series7 << EOD
# x mean low high n
0 0.00103904614 -0.00464522996 0.00672332224 3 0 30000
1 0.0109340471 0.00673184088 0.0151362534 3 64 30000
2 0.0209575596 0.0149165505 0.0269985686 3 128 30000
EOD
$series8 << EOD
# x mean low high n
0 7.85076677e-05 -0.0223065284 0.0224635437 2 0 30000
1 -0.149704417 -0.167013047 -0.132395788 2 64 30000
2 -0.29967628 -0.31933246 -0.2800201 2 128 30000
EOD
set terminal svg size 821,440 dynamic noenhanced font 'Liberation Sans, Arial, sans-serif,12' background 'white'
set output 'gain-position.svg'
plot 0 linecolor rgb '#404040' dashtype 2 notitle, \
     $series1 using 1:2 with linespoints pointtype 7 pointsize 0.5 linecolor 1 dashtype 2 linewidth 1.6 title 'short 3e-3 (n = 3)', \
     $series2 using 1:2 with linespoints pointtype 7 pointsize 0.5 linecolor 1 dashtype 3 linewidth 1.6 title 'short 1e-2 (n = 3)', \
     $series3 using 1:2 with linespoints pointtype 7 pointsize 0.5 linecolor 2 dashtype 1 linewidth 1.6 title 'long 1e-3 (n = 3)', \
     $series4 using 1:2 with linespoints pointtype 7 pointsize 0.5 linecolor 2 dashtype 2 linewidth 1.6 title 'long 3e-3 (n = 3)', \
     $series5 using 1:2 with linespoints pointtype 7 pointsize 0.5 linecolor 2 dashtype 3 linewidth 1.6 title 'long 1e-2 (n = 2)', \
     $series6 using 1:2 with linespoints pointtype 7 pointsize 0.5 linecolor 3 dashtype 1 linewidth 1.6 title 'wide 1e-3 (n = 3)', \
     $series7 using 1:2 with linespoints pointtype 7 pointsize 0.5 linecolor 3 dashtype 2 linewidth 1.6 title 'wide 3e-3 (n = 3)', \
     $series8 using 1:2 with linespoints pointtype 7 pointsize 0.5 linecolor 3 dashtype 3 linewidth 1.6 title 'wide 1e-2 (n = 2)'
if (exists('say_map')) print sprintf('map %g %g %g %g %.9g %.9g %.9g %.9g', GPVAL_TERM_XMIN, GPVAL_TERM_XMAX, GPVAL_TERM_YMIN, GPVAL_TERM_YMAX, GPVAL_X_MIN, GPVAL_X_MAX, GPVAL_Y_MIN, GPVAL_Y_MAX)
